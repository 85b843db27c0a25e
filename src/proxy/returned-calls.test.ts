import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Message } from '../core/message.ts';
import { asSampled, callIdOf } from './returned-calls.ts';

const edit = {
  name: 'Edit',
  description: '',
  parameters: {
    type: 'object',
    properties: {
      text: { type: 'string' },
      all: { type: 'boolean', default: false },
      edits: { type: 'array', items: { type: 'object', properties: { times: { type: 'number', default: 1 } } } },
    },
  },
};

/** The arguments that the model is shown when it said `sampled` and the agent sends `returned`. */
function shown(sampled: unknown, returned: unknown, id = `toolu_${callIdOf(3, 0)}`): unknown {
  const call = { id, name: 'Edit', arguments: JSON.stringify(returned) };
  const messages: Message[] = [{ role: 'assistant', content: 'Here.', toolCalls: [call] }];
  const known = { name: 'Edit', arguments: ` ${JSON.stringify(sampled)}` };
  const [message] = asSampled(messages, [edit], (turn, place) => (turn === 3 && place === 0 ? known : null));
  if (message?.role !== 'assistant') throw new Error('not a reply');
  expect(message).toMatchObject({ content: 'Here.', toolCalls: [{ id, name: 'Edit' }] });
  return message.toolCalls[0]?.arguments.startsWith(' ') ? 'as sampled' : 'as returned';
}

describe('a call that an agent sends back in other words', () => {
  it.each([
    ['with a default of the schema filled in', { text: 'a' }, { all: false, text: 'a' }],
    ['with a default inside of a list filled in', { edits: [{}] }, { edits: [{ times: 1 }] }],
    ['without white space at the ends of lines', { text: 'a  \n\tb \n' }, { text: 'a\n\tb\n' }],
    ['without the change of folder', { text: 'cd /work && node a.js' }, { text: 'node a.js' }],
    ['with a number that was written as a string', { edits: [{ times: '20' }] }, { edits: [{ times: 20 }] }],
    ['with a list that was written as a string', { edits: '[{"times": 2}]' }, { edits: [{ times: 2 }] }],
  ])('%s keeps what was sampled', (_, sampled, returned) => {
    expect(shown(sampled, returned)).toBe('as sampled');
  });

  it.each([
    ['with another value in place of the default', { text: 'a' }, { all: true, text: 'a' }],
    ['with a field that has no default', { text: 'a' }, { text: 'a', path: '' }],
    ['without a field', { text: 'a', all: false }, { text: 'a' }],
    ['with another text', { text: 'a long text' }, { text: '[cut]' }],
    ['without white space at the beginning', { text: '  a' }, { text: 'a' }],
    ['without an earlier command', { text: 'make && node a.js' }, { text: 'node a.js' }],
    ['with a shorter list', { edits: [{}, {}] }, { edits: [{}] }],
  ])('%s is what the agent says', (_, sampled, returned) => {
    expect(shown(sampled, returned)).toBe('as returned');
  });

  it.each(['', '{"text": "a', '"a"', '[]', 'null'])('and that was no object when it was sampled: %s', (sampled) => {
    const call = { id: callIdOf(3, 0), name: 'Edit', arguments: '{"text": "a"}' };
    const messages: Message[] = [{ role: 'assistant', content: '', toolCalls: [call] }];
    const known = { name: 'Edit', arguments: sampled };
    expect(asSampled(messages, [edit], () => known)).toEqual([
      { role: 'assistant', content: '', toolCalls: [{ ...call, arguments: sampled }] },
    ]);
  });

  it('as a call of the tool `invalid` keeps what was sampled, when it names the tool', () => {
    const known = { name: 'Edit', arguments: '{"text": ' };
    const replaced = (tool: string) => {
      const call = { id: callIdOf(3, 0), name: 'invalid', arguments: JSON.stringify({ tool, error: 'No JSON.' }) };
      const messages: Message[] = [{ role: 'assistant', content: '', toolCalls: [call] }];
      const [message] = asSampled(messages, [edit], () => known);
      return message?.role === 'assistant' ? message.toolCalls[0]?.name : null;
    };
    expect([replaced('Edit'), replaced('Read')]).toEqual(['Edit', 'invalid']);
  });

  it('under an id of another session is what the agent says', () => {
    for (const id of ['toolu_01A', 'call_3_1', 'call_4_0', 'call_3_0x']) {
      expect(shown({ text: 'a ' }, { text: 'a' }, id)).toBe('as returned');
    }
  });

  it('unchanged is found again, whatever it holds', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (sampled) => {
        expect(shown(sampled, sampled)).toBe('as sampled');
      }),
      { seed: 5 },
    );
  });
});
