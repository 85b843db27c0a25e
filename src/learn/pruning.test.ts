import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Random } from '../core/random.ts';
import { layoutTrajectories } from '../trie/layout.ts';
import { lossBatch } from './loss-terms.ts';
import { keptPaths, keptSpans } from './pruning.ts';
import { randomRollouts } from './toy-policy.ts';

const path = (text: string) => Int32Array.from(text, (letter) => letter.charCodeAt(0));

/** Entropy by letter: capital letters are decisions. */
const entropiesOf = (tokens: Int32Array) => Float64Array.from(tokens, (id) => (id < 97 ? 1 : 0.1));

function keptTexts(texts: readonly string[], budget: number): string[] {
  const paths = texts.map(path);
  const trie = layoutTrajectories(paths);
  const kept = keptPaths(trie, paths, keptSpans(trie, entropiesOf(trie.tokens), budget));
  return kept.map((ids) => String.fromCharCode(...ids));
}

describe('a token budget', () => {
  test('keeps what the policy decided before what it was sure of', () => {
    expect(keptTexts(['pppABCD', 'pppwxyz'], 7)).toEqual(['pppABCD', 'ppp']);
  });

  test('keeps what many trajectories depend on before what one does', () => {
    // AB is shared by two of three leaves; CDE has more decisions, but one leaf.
    expect(keptTexts(['pABx', 'pABy', 'pCDE'], 5)).toEqual(['pABx', 'pABy', 'p']);
  });

  test('leaves out a span that does not fit, and takes a smaller one', () => {
    expect(keptTexts(['pABCDEF', 'pxy'], 4)).toEqual(['p', 'pxy']);
  });

  test('that is less than any prompt is refused with the least that works', () => {
    expect(() => keptTexts(['ppppA', 'ppppB'], 3)).toThrow(/tokenBudget 3 .* at least 4,/);
  });

  test('is kept by any batch of rollouts, whose terms are those of the whole trie that lie inside', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 20, max: 200 }), (seed, budget) => {
        const rollouts = randomRollouts(new Random(BigInt(seed)));
        const whole = lossBatch(rollouts);
        const part = lossBatch(rollouts, 'per-branch', budget);
        expect(part.figures.treeTokens).toBeLessThanOrEqual(Math.max(budget, 0));
        const count = ({ batch }: typeof whole) => batch.termCount.length;
        expect(count(part)).toBeLessThanOrEqual(count(whole));
        if (whole.figures.treeTokens <= budget) expect(part).toEqual(whole);
        expect(part.figures.flatTokensMerged).toBe(whole.figures.flatTokensMerged);
      }),
    );
  });
});
