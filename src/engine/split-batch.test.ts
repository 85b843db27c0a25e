import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Random, seedOf } from '../core/random.ts';
import { randomPlan, tinyShape } from '../native/train-case.ts';
import type { TrieBatch } from './engine.ts';
import { splitBatch } from './split-batch.ts';
import { checkBatch } from './trie-batch.ts';

function forest(seed: number, termChance: number): TrieBatch {
  const random = new Random(seedOf('split', seed));
  const { tokens, spanStart, spanParent, termNode, termTarget, termBehaviorLogprob, termAPos, termANeg, termCount } =
    randomPlan(tinyShape, random, { roots: 6, spans: 20, maxSpanTokens: 5, termChance });
  return { tokens, spanStart, spanParent, termNode, termTarget, termBehaviorLogprob, termAPos, termANeg, termCount };
}

const joined = (parts: readonly TrieBatch[], column: keyof TrieBatch) => parts.flatMap((part) => [...part[column]]);

test('parts keep to the limit, are batches of their own, and hold every token and term once, in order', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e6 }), fc.integer({ min: 60, max: 120 }), (seed, maxTokens) => {
      const batch = forest(seed, 0.9);
      const parts = splitBatch(batch, maxTokens);
      for (const part of parts) {
        checkBatch(part, tinyShape);
        expect(part.tokens.length).toBeLessThanOrEqual(maxTokens);
      }
      for (const column of [
        'tokens',
        'termTarget',
        'termAPos',
        'termANeg',
        'termCount',
        'termBehaviorLogprob',
      ] as const) {
        expect(joined(parts, column)).toEqual([...batch[column]]);
      }
      let from = 0;
      const nodes = parts.flatMap((part) => {
        const shifted = [...part.termNode].map((node) => node + from);
        from += part.tokens.length;
        return shifted;
      });
      expect(nodes).toEqual([...batch.termNode]);
      expect(parts.length === 1).toBe(batch.tokens.length <= maxTokens);
    }),
    { numRuns: 60 },
  );
});

test('a part without a term is left out; a tree above the limit is an error that names both numbers', () => {
  const batch = forest(1, 0.9);
  const only: TrieBatch = { ...batch, ...oneTermAt(batch, batch.tokens.length - 1) };
  const parts = splitBatch(only, 60);
  expect(parts.length).toBe(1);
  expect(parts[0]?.termNode.length).toBe(1);
  expect(() => splitBatch(batch, 2)).toThrow(/a tree of the batch has \d+ tokens, beyond the 2 of one pass/);
});

function oneTermAt(batch: TrieBatch, node: number): Partial<TrieBatch> {
  const floats = Float32Array.of(1);
  return {
    termNode: Int32Array.of(node),
    termTarget: batch.termTarget.slice(0, 1),
    ...{ termBehaviorLogprob: floats, termAPos: floats, termANeg: floats, termCount: floats },
  };
}
