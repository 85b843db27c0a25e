import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseChatRequest } from './chat-completions.ts';
import { chatParameters } from './chat-parameters.ts';
import { ChatStream, chatReplyJson } from './chat-reply.ts';
import type { Completion } from './dialect.ts';

const head = { id: 'chatcmpl-x-0', model: 'seedling', created: 1 };

describe('a chat request', () => {
  it('means the same with text in a string or in parts, null or absent', () => {
    const plain = parseChatRequest({
      model: 'm',
      messages: [
        { role: 'developer', content: 'be brief' },
        {
          role: 'assistant',
          content: '',
          tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{' } }],
        },
        { role: 'tool', tool_call_id: 'a', content: 'x\ny' },
      ],
    });
    const parts = parseChatRequest({
      model: 'm',
      tools: null,
      stop: null,
      messages: [
        { role: 'system', content: [{ type: 'text', text: 'be brief' }] },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{' } }],
        },
        {
          role: 'tool',
          tool_call_id: 'a',
          content: [
            { type: 'text', text: 'x' },
            { type: 'text', text: 'y' },
          ],
        },
      ],
    });
    expect(parts).toEqual(plain);
  });

  it('keeps wishes as facts, takes the smaller limit, and hides tools that must not be called', () => {
    const request = parseChatRequest({
      model: 'm',
      messages: [{ role: 'user', content: 'x' }],
      temperature: 0.3,
      max_tokens: 9,
      max_completion_tokens: 5,
      tools: [{ type: 'function', function: { name: 'f' } }],
      tool_choice: 'none',
    });
    expect(request.maxTokens).toBe(5);
    expect(request.wishes).toEqual({ temperature: 0.3, max_tokens: 9, max_completion_tokens: 5 });
    expect(request.tools).toEqual([]);
  });
});

describe('the parameters', () => {
  it('stand in the docs as they stand in the code', () => {
    const docs = readFileSync(new URL('../../docs/dialects.md', import.meta.url), 'utf8');
    const rows = docs.slice(docs.indexOf('## chat completions'), docs.indexOf('## responses')).split('\n');
    for (const [name, { is }] of Object.entries(chatParameters)) {
      expect(
        rows
          .find((row) => row.startsWith('|') && row.includes(`\`${name}\``))
          ?.split('|')[2]
          ?.trim(),
        name,
      ).toBe(is);
    }
  });

  it('have their types, and null is not given', () => {
    const asked = (more: object) =>
      parseChatRequest({ model: 'm', messages: [{ role: 'user', content: 'x' }], ...more });
    const none = Object.fromEntries(Object.keys(chatParameters).map((name) => [name, null]));
    expect(asked({ ...none, model: 'm', messages: [{ role: 'user', content: 'x' }] }).wishes).toEqual({});
    expect(() => asked({ temperature: 'hot' })).toThrow("'temperature' must be a number");
    expect(() => asked({ metadata: [] })).toThrow("'metadata' must be an object");
    expect(() => asked({ store: 1 })).toThrow("'store' must be a boolean");
    expect(() => asked({ tools: [{ type: { toString: 1 } }] })).toThrow(`Invalid value: '{"toString":1}'`);
  });
});

describe('a streamed reply', () => {
  it('says what the JSON reply says, however its content was cut', () => {
    const calls = fc.array(fc.record({ id: fc.string(), name: fc.string(), arguments: fc.string() }), { maxLength: 3 });
    fc.assert(
      fc.property(fc.string(), fc.string(), calls, fc.nat({ max: 30 }), (thinking, content, toolCalls, cut) => {
        const reply: Completion = {
          thinking,
          content,
          toolCalls,
          finishReason: 'stop',
          stop: null,
          promptTokens: 3,
          completionTokens: 4,
        };
        const stream = new ChatStream(head, true);
        const piece = content.slice(0, cut);
        const events = stream.begin() + (piece === '' ? '' : stream.text(piece)) + stream.end(reply);
        const lines = events.split('\n\n').slice(0, -1);
        expect(lines.pop()).toBe('data: [DONE]');
        const chunks = lines.map((line) => JSON.parse(line.slice('data: '.length)));
        const whole = JSON.parse(chatReplyJson(head, reply));
        const deltas = chunks.flatMap((chunk) => chunk.choices.map((choice: { delta: unknown }) => choice.delta));
        const text = (name: string): string => deltas.map((delta) => delta[name] ?? '').join('');
        expect(text('content')).toBe(whole.choices[0].message.content ?? '');
        expect(text('reasoning_content')).toBe(whole.choices[0].message.reasoning_content ?? '');
        const streamed = deltas.flatMap((delta) => delta.tool_calls ?? []);
        expect(streamed).toEqual(
          (whole.choices[0].message.tool_calls ?? []).map((call: object, index: number) => ({ index, ...call })),
        );
        expect(chunks.at(-1).usage).toEqual(whole.usage);
      }),
    );
  });
});
