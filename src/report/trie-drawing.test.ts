import { expect, it } from 'vitest';
import { causeFacts, causeTable } from './breaks-table.ts';
import { type DrawnSpan, drawTrie } from './trie-drawing.ts';

const span = (tokens: number, turns: number[], sampledBy: number[], children: DrawnSpan[] = []): DrawnSpan => ({
  tokens,
  turns,
  sampledBy,
  text: null,
  children,
});

it('a trie is drawn without steps to the right but at its branches', () => {
  const leaf = span(3, [2], [2]);
  const left = span(20, [1], [], [span(4, [1], [1])]);
  const right = span(1200, [2], [], [leaf]);
  expect(drawTrie([span(55, [0, 1, 2], [], [span(6, [0, 1, 2], [0], [left, right])])])).toBe(
    [
      '    tokens  origin        turns  begins with',
      '○       55  context       0-2',
      '●        6  sampled by 0  0-2',
      '├─○     20  context       1',
      '│ ●      4  sampled by 1  1',
      '└─○  1,200  context       2',
      '  ●      3  sampled by 2  2',
      '',
    ].join('\n'),
  );
});

it('texts of a trie cannot act on a terminal, and keep their line breaks as signs', () => {
  const drawn = drawTrie([{ ...span(9, [0, 1, 3], []), text: '\u001b[2Jone\n\ttwo\u202e' }]);
  expect(drawn).toContain('0-1, 3  \u241b[2Jone\u21b5\u21e5two\u27e8U+202E\u27e9\n');
});

it('causes are summed, the dearest first', () => {
  const one = { rollout: 'r', turn: 1, reusedTokens: 5, retokenizedSampledTokens: 0, done: 'forked' as const };
  const breaks = [
    { ...one, cause: 'fork', tokensLost: 3 },
    { ...one, cause: 'new-root', tokensLost: 1000, done: 'rendered' as const },
    { ...one, cause: 'fork', tokensLost: 4, retokenizedSampledTokens: 2, done: 'repaired' as const },
  ];
  expect(causeFacts(breaks).map(({ cause, tokensLost }) => [cause, tokensLost])).toEqual([
    ['new-root', 1000],
    ['fork', 7],
  ]);
  expect(causeTable(causeFacts(breaks))).toMatch(/fork +2 +7 +2 +forked 1, repaired 1\n$/);
});
