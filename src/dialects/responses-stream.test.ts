import fc from 'fast-check';
import { ResponseStream } from 'openai/lib/responses/ResponseStream';
import { describe, expect, it } from 'vitest';
import type { Completion } from './dialect.ts';
import { Refusal } from './refusal.ts';
import { responses } from './responses.ts';

type Value = Readonly<Record<string, unknown>>;
const head = { id: 'session-4', model: 'seedling', created: 7 };
const request = {
  model: 'seedling',
  input: 'Fix it.',
  instructions: 'Be brief.',
  tools: [
    { type: 'function', name: 'read', description: null, parameters: null, strict: false },
    { type: 'custom', name: 'patch' },
    { type: 'namespace', name: 'web', description: 'x', tools: [{ type: 'function', name: 'get' }] },
  ],
};

const completions: fc.Arbitrary<Completion> = fc.record({
  thinking: fc.string(),
  content: fc.string({ unit: 'binary' }),
  toolCalls: fc.array(
    fc.record({
      id: fc.string(),
      name: fc.constantFrom('read', 'patch', 'web.get', 'unknown'),
      arguments: fc.oneof(
        fc.string(),
        fc.string().map((input) => JSON.stringify({ input })),
      ),
    }),
    { maxLength: 3 },
  ),
  finishReason: fc.constantFrom('stop', 'length', 'tool_calls'),
  stop: fc.constant(null),
  promptTokens: fc.nat(),
  completionTokens: fc.nat(),
});

/** Pieces of the text, which may stop before its end. */
const cut = (text: string, places: readonly number[]): string[] => {
  const at = [0, ...places.map((place) => place % (text.length + 1)).sort((a, b) => a - b)];
  return at.slice(1).flatMap((end, i) => (end > (at[i] as number) ? [text.slice(at[i], end)] : []));
};

function eventsOf(stream: string): Value[] {
  return stream
    .split('\n\n')
    .slice(0, -1)
    .map((event) => {
      const [name, data] = event.split('\n') as [string, string];
      const value = JSON.parse(data.slice('data: '.length));
      expect(name).toBe(`event: ${value.type}`);
      return value;
    });
}

function streamed(reply: Completion, places: readonly number[]): string {
  const stream = responses.parse(request).stream(head);
  let events = stream.begin();
  for (const piece of cut(reply.thinking, places)) events += stream.thinking?.(piece) ?? '';
  const rest = reply.thinking.slice(cut(reply.thinking, places).join('').length);
  const pieces = cut(reply.content, places);
  if (pieces.length > 0 && rest !== '') events += stream.thinking?.(rest) ?? '';
  for (const piece of pieces) events += stream.text(piece);
  return events + stream.end(reply);
}

describe('a streamed response', () => {
  it('says what the JSON reply says, however it was cut', () => {
    fc.assert(
      fc.property(completions, fc.array(fc.nat(), { maxLength: 4 }), (reply, places) => {
        const whole = JSON.parse(responses.parse(request).json(head, reply));
        const events = eventsOf(streamed(reply, places));
        expect(events.map((event) => event['sequence_number'])).toEqual(events.map((_, i) => i));
        expect(events.slice(0, 2).map((event) => event['type'])).toEqual(['response.created', 'response.in_progress']);
        expect(events.at(-1)).toMatchObject({ type: `response.${whole.status}`, response: whole });

        const of = (type: string): Value[] => events.filter((event) => event['type'] === type);
        expect(of('response.output_item.done').map((event) => event['item'])).toEqual(whole.output);
        expect(of('response.output_item.done').map((event) => event['output_index'])).toEqual(
          whole.output.map((_: unknown, i: number) => i),
        );
        expect(of('response.output_item.added').map((event) => (event['item'] as Value)['id'])).toEqual(
          whole.output.map((item: Value) => item['id']),
        );
        const joined = (type: string): string =>
          of(`${type}.delta`)
            .map((event) => event['delta'])
            .join('');
        expect(joined('response.output_text')).toBe(reply.content);
        expect(joined('response.reasoning_summary_text')).toBe(reply.thinking);
        for (const item of whole.output.filter((each: Value) => each['type'] === 'function_call')) {
          const deltas = of('response.function_call_arguments.delta').filter((event) => event['item_id'] === item.id);
          expect(deltas.map((event) => event['delta']).join('')).toBe(item.arguments);
        }
      }),
    );
  });

  it('is put together by the stock client to the JSON reply', async () => {
    await fc.assert(
      fc.asyncProperty(completions, fc.array(fc.nat(), { maxLength: 4 }), async (reply, places) => {
        const lines = eventsOf(streamed(reply, places)).map((event) => `${JSON.stringify(event)}\n`);
        const final = await ResponseStream.fromReadableStream(
          ReadableStream.from(lines.map((line) => new TextEncoder().encode(line))),
        ).finalResponse();
        const whole = JSON.parse(responses.parse(request).json(head, reply));
        expect(final).toMatchObject(whole);
        expect(final.output_text).toBe(reply.content);
      }),
      { numRuns: 30 },
    );
  });

  it('that fails names the fault twice: as an error, and as the end of the response', () => {
    const stream = responses.parse(request).stream(head);
    stream.begin();
    stream.text('half');
    const busy = eventsOf(stream.failure(new Refusal(502, 'the engine failed', { code: 'provider_failure' })));
    expect(busy.map((event) => event['type'])).toEqual(['error', 'response.failed']);
    expect(busy[0]).toMatchObject({ code: 'provider_failure', message: 'the engine failed', param: null });
    expect(busy[1]?.['response']).toMatchObject({
      status: 'failed',
      error: { code: 'server_error', message: 'the engine failed' },
    });
    const tooLong = new Refusal(400, 'too long', { code: 'context_length_exceeded' });
    expect(eventsOf(stream.failure(tooLong))[1]?.['response']).toMatchObject({
      error: { code: 'context_length_exceeded' },
    });
  });
});

describe('a response', () => {
  const reply: Completion = {
    thinking: '',
    content: '',
    toolCalls: [],
    finishReason: 'stop',
    stop: null,
    promptTokens: 3,
    completionTokens: 4,
  };

  it('has a message when there is neither text nor a call, so that the turn comes back', () => {
    expect(JSON.parse(responses.parse(request).json(head, reply))).toMatchObject({
      id: 'resp_session-4',
      status: 'completed',
      instructions: 'Be brief.',
      output: [{ id: 'msg_session-4', type: 'message', content: [{ type: 'output_text', text: '' }] }],
      usage: {
        input_tokens: 3,
        input_tokens_details: { cached_tokens: 0 },
        output_tokens: 4,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: 7,
      },
    });
  });

  it('that a limit ended is incomplete, and so is its last item', () => {
    const cutOff: Completion = {
      ...reply,
      content: 'I will',
      toolCalls: [{ id: 'call_0_0', name: 'web.get', arguments: '{"u' }],
      finishReason: 'length',
      stop: null,
    };
    expect(JSON.parse(responses.parse(request).json(head, cutOff))).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      output: [
        { type: 'message', status: 'completed' },
        { type: 'function_call', namespace: 'web', name: 'get', call_id: 'call_0_0', status: 'incomplete' },
      ],
    });
  });
});
