import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RelayFormat } from './format.ts';
import { chat } from './formats/chat.ts';
import { completions } from './formats/completions.ts';
import { messages } from './formats/messages.ts';
import { responses } from './formats/responses.ts';
import { type Fields, fieldsOf } from './lenient.ts';
import { readEvents } from './sse-reader.ts';

/** The reply that a stream of these events was. */
const streamed = (format: RelayFormat, ...events: Fields[]) => {
  const joined = format.joined(events);
  return joined === null ? null : format.reply(joined);
};
const chunk = (delta: Fields, finish: string | null = null, more: Fields = {}): Fields => ({
  model: 'm-1',
  choices: [{ index: 0, delta, finish_reason: finish, ...more }],
});

describe('chat completions', () => {
  const called = {
    model: 'm-1',
    thinking: 'Hm.',
    content: 'I read.',
    toolCalls: [
      { id: 'a', name: 'read', arguments: '{"path":"a"}' },
      { id: 'b', name: 'test', arguments: '{}' },
    ],
    finishReason: 'tool_calls',
    usage: { promptTokens: 5, completionTokens: 4 },
    tokens: null,
  };

  it('say the same in one piece and in many', () => {
    const whole: Fields = {
      model: 'm-1',
      usage: { prompt_tokens: 5, completion_tokens: 4 },
      choices: [
        {
          message: {
            content: 'I read.',
            reasoning_content: 'Hm.',
            tool_calls: [
              { id: 'a', function: { name: 'read', arguments: '{"path":"a"}' } },
              { id: 'b', function: { name: 'test', arguments: '{}' } },
            ],
          },
          finish_reason: 'tool_calls',
        },
      ],
    };
    expect(chat.reply(whole)).toEqual([called]);
    const pieces = streamed(
      chat,
      chunk({ role: 'assistant', content: '' }),
      chunk({ reasoning_content: 'Hm.' }),
      chunk({ content: 'I ' }),
      chunk({ content: 'read.' }),
      chunk({ tool_calls: [{ index: 0, id: 'a', function: { name: 'read', arguments: '{"path"' } }] }),
      chunk({
        tool_calls: [
          { index: 0, function: { arguments: ':"a"}' } },
          { index: 1, id: 'b', function: { name: 'test' } },
        ],
      }),
      chunk({ tool_calls: [{ index: 1, function: { arguments: '{}' } }] }, 'tool_calls'),
      { choices: [], usage: { prompt_tokens: 5, completion_tokens: 4 } },
    );
    expect(pieces).toEqual([called]);
  });

  it('that stop without a finish reason, or with an error, are no reply', () => {
    expect(streamed(chat, chunk({ content: 'I ' }))).toBeNull();
    expect(streamed(chat, chunk({ content: 'I ' }, 'stop'), { error: { message: 'overloaded' } })).toBeNull();
    expect(streamed(chat)).toBeNull();
  });

  it('are one reply a choice', () => {
    const choice = (content: string) => ({ message: { content }, finish_reason: 'stop' });
    expect(chat.reply({ choices: [choice('a'), choice('b')] })?.map(({ content }) => content)).toEqual(['a', 'b']);
  });

  it('have their ids where the engine tells all of them, in a stream too', () => {
    const tokens = { prompt: Int32Array.of(1, 2), completion: Int32Array.of(7, 8), logprobs: Float32Array.of(-1, -2) };
    const logprobs = (...values: number[]) => ({ content: values.map((logprob) => ({ token: '', logprob })) });
    const first = {
      ...chunk({ content: 'a' }, null, { token_ids: [7], logprobs: logprobs(-1) }),
      prompt_token_ids: [1, 2],
    };
    const last = chunk({ content: 'b' }, 'stop', { token_ids: [8], logprobs: logprobs(-2) });
    expect(streamed(chat, first, last)?.[0]?.tokens).toEqual(tokens);
    expect(streamed(chat, chunk({ content: 'a' }, 'stop', { token_ids: [7] }))?.[0]?.tokens).toBeNull();
    const short = chunk({ content: 'b' }, 'stop', { token_ids: [8, 9], logprobs: logprobs(-2) });
    expect(streamed(chat, first, short)?.[0]?.tokens).toBeNull();
  });
});

describe('messages', () => {
  it('become the same messages as in other formats; a nonce and thinking are no part of them', () => {
    const { messages: said, settings } = messages.request({
      model: 'claude',
      max_tokens: 9,
      system: [
        { type: 'text', text: 'x-anthropic-billing-header: abc' },
        { type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } },
      ],
      messages: [
        { role: 'user', content: 'Fix.' },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'Hm.', signature: 's' },
            { type: 'text', text: 'I read.' },
            { type: 'tool_use', id: 't', name: 'read', input: { path: 'a' } },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 't', content: [{ type: 'text', text: 'a - b' }] },
            { type: 'text', text: 'Go on.' },
          ],
        },
      ],
    });
    expect(said).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Fix.' },
      { role: 'assistant', content: 'I read.', toolCalls: [{ id: 't', name: 'read', arguments: '{"path":"a"}' }] },
      { role: 'tool', toolCallId: 't', content: 'a - b' },
      { role: 'user', content: 'Go on.' },
    ]);
    expect(settings).toEqual({ max_tokens: 9 });
  });

  it('that stop before message_stop, or with an error, are no reply', () => {
    const start = { type: 'message_start', message: { content: [] } };
    expect(streamed(messages, start, { type: 'message_stop' })).toHaveLength(1);
    expect(streamed(messages, start)).toBeNull();
    expect(streamed(messages, start, { type: 'error' }, { type: 'message_stop' })).toBeNull();
  });
});

describe('responses', () => {
  it('join what the assistant said and the calls that follow it', () => {
    const { messages: said } = responses.request({
      instructions: 'Be brief.',
      input: [
        { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Fix.' }] },
        { type: 'reasoning', summary: [] },
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'I read.' }] },
        { type: 'function_call', call_id: 'c', name: 'read', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c', output: 'a - b' },
      ],
    });
    expect(said.map(({ role, content }) => [role, content])).toEqual([
      ['system', 'Be brief.'],
      ['user', 'Fix.'],
      ['assistant', 'I read.'],
      ['tool', 'a - b'],
    ]);
  });

  it('are read from their items when the last event brings none, and are none without it', () => {
    const item = { type: 'response.output_item.done', item: { type: 'message', content: [{ text: 'Hi.' }] } };
    const end = {
      type: 'response.incomplete',
      response: { output: [], incomplete_details: { reason: 'max_output_tokens' } },
    };
    expect(streamed(responses, item, end)).toMatchObject([{ content: 'Hi.', finishReason: 'length' }]);
    expect(streamed(responses, item, { type: 'response.failed', response: {} })).toBeNull();
  });
});

describe('text completions', () => {
  it('say the same in one piece and in many, ids too', () => {
    const said = {
      choices: [
        {
          text: 'ab',
          finish_reason: 'length',
          token_ids: [7, 8],
          prompt_token_ids: [1],
          logprobs: { token_logprobs: [-1, -2] },
        },
      ],
    };
    const piece = (text: string, id: number, finish: string | null) => ({
      choices: [{ index: 0, text, finish_reason: finish, token_ids: [id], logprobs: { token_logprobs: [6 - id] } }],
    });
    const pieces = streamed(completions, { ...piece('a', 7, null), prompt_token_ids: [1] }, piece('b', 8, 'length'));
    expect(pieces).toEqual(completions.reply(said));
    expect(pieces?.[0]).toMatchObject({
      content: 'ab',
      finishReason: 'length',
      tokens: { completion: Int32Array.of(7, 8) },
    });
  });
});

describe('server-sent events', () => {
  it('are read whatever their line ends, comments and spare fields', () => {
    const stream =
      ': hi\r\n\r\nevent: a\r\nid: 4\r\ndata: {"a":\r\ndata: 1}\r\n\r\ndata:{"b":2}\n\ndata: [DONE]\n\ndata: {"torn":1}';
    expect(readEvents(stream)).toEqual([{ a: 1 }, { b: 2 }]);
  });
});

describe('whatever JSON passes', () => {
  const named = fc.constantFrom(
    ...[
      'model',
      'messages',
      'role',
      'content',
      'tools',
      'tool_calls',
      'function',
      'choices',
      'message',
      'delta',
      'index',
      'type',
    ],
    ...[
      'input',
      'output',
      'call_id',
      'name',
      'arguments',
      'usage',
      'logprobs',
      'token_ids',
      'prompt',
      'system',
      'finish_reason',
    ],
    ...[
      'text',
      'tool_use',
      'tool_result',
      'function_call',
      'assistant',
      'user',
      'message_start',
      'content_block_delta',
      'partial_json',
    ],
  );
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', maxDepth: 5 },
      fc.oneof(named, fc.integer(), fc.boolean(), fc.constant(null), fc.string()),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(named, tie('value'), { maxKeys: 6 }),
    ),
  }));

  it.each(Object.entries({ chat, completions, messages, responses }))('%s reads it without a throw', (_, format) => {
    fc.assert(
      fc.property(value, fc.array(value, { maxLength: 5 }), (body, events) => {
        format.request(fieldsOf(body));
        format.reply(fieldsOf(body));
        format.reply(format.joined(events.map(fieldsOf)) ?? {});
      }),
      { numRuns: 300 },
    );
  });
});
