import { describe, expect, it } from 'vitest';
import { exampleMessages, exampleTranscript } from '../../test/example-run.ts';
import { passingTurns } from './passing.ts';
import { argumentsOf, renderTranscript, turnsOf } from './transcript.ts';

describe('a transcript', () => {
  it('has a turn for each completion, and each call its own answer, whatever order they came in', () => {
    const turns = turnsOf(exampleMessages);
    expect(turns).toHaveLength(3);
    expect(turns[0]?.calls.map(({ call, answer }) => [call.name, answer?.slice(0, 12)])).toEqual([
      ['read', 'src/clamp.js'],
      ['test', '1 passed, 2 '],
    ]);
  });

  it('keeps a call without an answer', () => {
    expect(turnsOf(exampleMessages.slice(0, 3))[0]?.calls.map(({ answer }) => answer)).toEqual([null, null]);
  });

  it('shows broken arguments as they were sampled', () => {
    expect(argumentsOf({ id: 'x', name: 'edit', arguments: '{"a":' })).toBeNull();
    expect(argumentsOf({ id: 'x', name: 'edit', arguments: '[1]' })).toBeNull();
    expect(renderTranscript('Before', exampleTranscript)).toContain(
      '<span class="unparsed">{&quot;path&quot;:&quot;src/clamp.js&quot;,&quot;line&quot;:1</span>',
    );
  });

  it('says how it was judged', () => {
    const html = renderTranscript('Before', exampleTranscript);
    expect(html).toContain('3 turns, finished by itself.');
    expect(html).toContain('1 of 2 tests passed');
    expect(html).toContain('Failed: test/clamp.test.js &gt; holds the high end');
    expect(renderTranscript('Before', { ...exampleTranscript, verdict: null })).toContain('not graded');
  });

  it('passes by as one line a turn', () => {
    expect(passingTurns({ rollout: 'r', messages: exampleMessages, solved: true })).toEqual([
      { calls: 'read src/clamp.js \u00b7 test', answer: '1 passed, 2 failed' },
      { calls: 'edit {"path":"src/clamp.js","line":1', answer: 'error: the arguments are not JSON' },
      { calls: '\u201cDone.\u201d', answer: '' },
    ]);
  });

  it('passes by without what a terminal would obey', () => {
    const messages = [
      {
        role: 'assistant',
        content: '',
        toolCalls: [{ id: 'a', name: 'read\u001b[2J', arguments: '{"path":"\\u001b]0;x\\u0007a\\nb"}' }],
      },
      { role: 'tool', toolCallId: 'a', content: '\u001b[31mred\u202e' },
    ] as const;
    expect(passingTurns({ rollout: 'r', messages, solved: null })).toEqual([{ calls: 'read a b', answer: 'red' }]);
  });
});
