import { expect, test } from 'vitest';
import { type Demonstration, demonstrationOf, sftBatch, sftBatches, sftRequest, sftSteps } from './sft.ts';

const ids = (...values: number[]) => Int32Array.from(values);

const demonstration = demonstrationOf([
  { kind: 'context', ids: ids(1, 2) },
  { kind: 'assistant', ids: ids(3) },
  { kind: 'context', ids: ids(4) },
  { kind: 'masked', ids: ids(5) },
]);

/** Weight by path and target, summed over demonstrations one by one: what the trie must add up to. */
function naive(demonstrations: readonly Demonstration[]): Map<string, number> {
  const weights = new Map<string, number>();
  for (const { ids, weights: own } of demonstrations) {
    for (let i = 1; i < ids.length; i++) {
      const key = ids.subarray(0, i + 1).join();
      if (own[i] !== 0) weights.set(key, (weights.get(key) ?? 0) + (own[i] ?? 0));
    }
  }
  return weights;
}

test('good turns weigh 1, error turns 0, and the rest the context weight', () => {
  expect([...demonstration.ids]).toEqual([1, 2, 3, 4, 5]);
  expect([...demonstration.weights]).toEqual([0.3, 0.3, 1, 0.3, 0].map(Math.fround));
});

test('an error turn stays in context and is not learned', () => {
  const { batch } = sftBatch([demonstration]);
  expect([...batch.tokens]).toEqual([1, 2, 3, 4, 5]);
  expect([...batch.termNode]).toEqual([0, 1, 2]);
  expect([...batch.termTarget]).toEqual([2, 3, 4]);
});

test('weights of shared tokens add up, and the normalizer is the sum of all weights', () => {
  const other = demonstrationOf([
    { kind: 'context', ids: ids(1, 2) },
    { kind: 'assistant', ids: ids(6, 3) },
  ]);
  const demonstrations = [demonstration, other, other];
  const { batch, objective, flatTokens, treeTokens } = sftBatch(demonstrations);
  expect({ flatTokens, treeTokens }).toEqual({ flatTokens: 13, treeTokens: 7 });
  const expected = naive(demonstrations);
  expect([...batch.termCount].toSorted()).toEqual([...expected.values()].map(Math.fround).toSorted());
  expect(objective.normalizer).toBeCloseTo(
    [...expected.values()].reduce((sum, weight) => sum + weight, 0),
    12,
  );
  expect([...batch.termNode]).toEqual([0, 1, 1, 2, 5]);
  expect([...batch.termTarget]).toEqual([2, 3, 6, 4, 3]);
});

test('weights that do not align with the ids are refused', () => {
  expect(() => sftBatch([{ ids: ids(1, 2), weights: Float32Array.of(1) }])).toThrow(/2 tokens has 1 weights/);
});

test('epochs are seeded shuffles in whole steps', () => {
  const many = Array.from({ length: 10 }, (_, i) => demonstrationOf([{ kind: 'assistant', ids: ids(0, i + 1) }]));
  const plan = { perStep: 3, epochs: 2, seed: 5 };
  const run = () => [...sftBatches(many, plan)].map(({ batch }) => [...batch.termTarget]);
  expect(run()).toEqual(run());
  expect(run().length).toBe(sftSteps(10, plan));
  expect(new Set(run().slice(0, 3).flat()).size).toBe(9);
  expect(run().slice(0, 3)).not.toEqual(run().slice(3));
});

test('a request carries the step of the optimizer', () => {
  const optimizer = {
    matrices: 'muon',
    learningRate: 1,
    muonLearningRate: 1,
    muonMomentum: 0.95,
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-8,
    weightDecay: 0,
    gradientClip: 1,
  } as const;
  expect(sftRequest(sftBatch([demonstration]), optimizer).optimizer).toBe(optimizer);
});
