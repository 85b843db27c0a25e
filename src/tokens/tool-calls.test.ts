import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ContentStream } from './content-stream.ts';
import { parseCompletion } from './tool-calls.ts';

describe('parseCompletion', () => {
  it('reads the Hermes form with newlines and the compact one', () => {
    const spread = '<tool_call>\n{"name": "read", "arguments": {"path": "a.js"}}\n</tool_call>';
    const compact = '<tool_call>{"name": "read", "arguments": {"path": "a.js"}}</tool_call>';
    for (const text of [spread, compact]) {
      expect(parseCompletion(text)).toEqual({
        thinking: '',
        content: '',
        toolCalls: [{ name: 'read', arguments: '{"path": "a.js"}' }],
      });
    }
  });

  it('reads several calls in a turn and keeps the text before them as content', () => {
    const text =
      'Both files.\n<tool_call>{"name": "read", "arguments": {"path": "a.js"}}</tool_call>\n<tool_call>{"arguments": {"path": "}\\"{"}, "name": "read"}</tool_call>';
    expect(parseCompletion(text)).toEqual({
      thinking: '',
      content: 'Both files.',
      toolCalls: [
        { name: 'read', arguments: '{"path": "a.js"}' },
        { name: 'read', arguments: '{"path": "}\\"{"}' },
      ],
    });
  });

  it('keeps broken arguments as they were sampled', () => {
    const broken = '<tool_call>{"name": "edit", "arguments": {"path": "a.js", "line": }}</tool_call>';
    expect(parseCompletion(broken).toolCalls).toEqual([{ name: 'edit', arguments: '{"path": "a.js", "line": }' }]);
    const cut = '<tool_call>{"name": "edit", "arguments": {"path": "a.j';
    expect(parseCompletion(cut).toolCalls).toEqual([{ name: 'edit', arguments: '{"path": "a.j' }]);
  });

  it('ends a call that was never closed where the next one opens', () => {
    const text =
      '<tool_call>{"name": "read", "arguments": {"path": <tool_call>{"name": "test", "arguments": {}}</tool_call>';
    expect(parseCompletion(text).toolCalls).toEqual([
      { name: 'read', arguments: '{"path":' },
      { name: 'test', arguments: '{}' },
    ]);
  });

  it('leaves a call without a name in the content', () => {
    const text = 'see <tool_call>{"nam": 1}</tool_call> there';
    expect(parseCompletion(text)).toEqual({ thinking: '', content: text, toolCalls: [] });
  });

  it('gives a call without arguments empty ones and unwraps arguments written as a string', () => {
    expect(parseCompletion('<tool_call>{"name": "test"}</tool_call>').toolCalls[0]?.arguments).toBe('{}');
    expect(
      parseCompletion('<tool_call>{"name": "read", "arguments": "{\\"path\\": 1}"}</tool_call>').toolCalls[0]
        ?.arguments,
    ).toBe('{"path": 1}');
  });

  it('parts thinking from content, whether the prompt or the completion opened it', () => {
    const expected = { thinking: 'hm', content: 'done', toolCalls: [] };
    expect(parseCompletion('<think>\nhm\n</think>\n\ndone')).toEqual(expected);
    expect(parseCompletion('hm\n</think>\n\ndone', true)).toEqual(expected);
    expect(parseCompletion('<think>never')).toEqual({ thinking: 'never', content: '', toolCalls: [] });
  });

  it('reads back whatever arguments were written', () => {
    fc.assert(
      fc.property(fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 4 }), (calls) => {
        fc.pre(!JSON.stringify(calls).includes('tool_call>'));
        const text = calls
          .map((value) => `<tool_call>${JSON.stringify({ name: 'x', arguments: value })}</tool_call>`)
          .join('\n');
        const parsed = parseCompletion(text).toolCalls;
        expect(parsed.map((call) => call.arguments)).toEqual(calls.map((value) => JSON.stringify(value)));
      }),
    );
  });

  it('never throws and never loses a letter', () => {
    const scrap = fc.constantFrom(
      '<tool_call>',
      '</tool_call>',
      '{',
      '}',
      '"',
      '"name":',
      '"arguments":',
      'x',
      ',',
      '\\',
    );
    fc.assert(
      fc.property(fc.array(scrap), (scraps) => {
        const parsed = parseCompletion(scraps.join(''));
        const given = scraps.filter((piece) => piece === 'x').length;
        const kept = [parsed.content, ...parsed.toolCalls.map((call) => call.arguments + call.name)].join('');
        if (parsed.toolCalls.length === 0) expect(kept.split('x').length - 1).toBe(given);
      }),
    );
  });
});

describe('ContentStream', () => {
  it('shows beginnings of what the whole text says, whatever the pieces', () => {
    const scrap = fc.constantFrom(
      '<tool_call>',
      '</tool_call>',
      '<think>',
      '</think>',
      '{"name": "a"}',
      ' ',
      '\n',
      'x',
      '<t',
    );
    fc.assert(
      fc.property(
        fc.array(scrap),
        fc.array(fc.integer({ min: 1, max: 9 })),
        fc.boolean(),
        (scraps, sizes, thinking) => {
          const text = scraps.join('');
          const stream = new ContentStream(thinking);
          let shown = '';
          let at = 0;
          for (const size of [...sizes, text.length]) {
            shown += stream.push(text.slice(at, at + size));
            at += size;
          }
          expect(parseCompletion(text, thinking).content.startsWith(shown)).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('shows plain text as it comes', () => {
    const stream = new ContentStream(false);
    expect(['Hel', 'lo wor', 'ld <b'].map((piece) => stream.push(piece))).toEqual(['Hel', 'lo wor', 'ld <b']);
  });
});
