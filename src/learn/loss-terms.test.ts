import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Random, seedOf } from '../core/random.ts';
import type { TrieBatch } from '../engine/engine.ts';
import { flatBatch } from './flat-batch.ts';
import { type LearnedRollout, lossBatch, type SharedTokens } from './loss-terms.ts';
import { clipped, Gradient, logprobsOf, onTrie, pathTo, randomRollouts } from './toy-policy.ts';
import { type SampledTurn, trajectoriesOf } from './trajectories.ts';

/** Every trajectory on its own: the loss that the trie must reproduce. */
function naive(rollouts: readonly LearnedRollout[], shared: SharedTokens): Gradient {
  const gradient = new Gradient();
  for (const { turns, advantage } of rollouts) {
    const samples = turns.flatMap((turn) =>
      Array.from(turn.completion, (target, i) => ({
        prefix: [...turn.prompt, ...turn.completion.subarray(0, i)],
        target,
        behavior: turn.behaviorLogprobs[i] ?? 0,
      })),
    );
    const learn = (sample: (typeof samples)[number], weight: number) => {
      const policy = logprobsOf(sample.prefix)[sample.target] ?? 0;
      const positive = Math.max(advantage, 0);
      const { loss, scale } = clipped(policy, sample.behavior, positive, advantage - positive);
      gradient.add(sample.prefix, sample.target, loss * weight, scale * weight);
    };
    if (shared === 'once') {
      for (const sample of samples) learn(sample, 1);
      continue;
    }
    const keys = turns.map((turn) => [...turn.prompt, ...turn.completion].join());
    const leaves = [...new Set(keys)].filter((key) => !keys.some((other) => other.startsWith(`${key},`)));
    for (const leaf of leaves) {
      const ids = leaf.split(',').map(Number);
      for (let i = 0; i < ids.length; i++) {
        const here = samples.filter(
          ({ prefix, target }) => prefix.join() === ids.slice(0, i).join() && target === ids[i],
        );
        for (const sample of here) learn(sample, 1 / here.length);
      }
    }
  }
  return gradient;
}

function plainTurn(prompt: readonly number[], completion: readonly number[], version = 0): SampledTurn {
  return {
    prompt: Int32Array.from(prompt),
    completion: Int32Array.from(completion),
    behaviorLogprobs: Float32Array.from(completion, (id) => -0.25 * (id + 1)),
    entropies: Float32Array.from(completion, () => 0.5),
    versions: Int32Array.from(completion, () => version),
    fidelity: 'exact',
  };
}

const termsOf = ({ batch }: { batch: TrieBatch }) =>
  Array.from(batch.termNode, (node, i) => ({
    path: pathTo(batch, node).join(''),
    target: batch.termTarget[i],
    aPos: batch.termAPos[i],
    aNeg: batch.termANeg[i],
    count: batch.termCount[i],
  }));

function expectEqual(actual: Gradient, expected: Gradient): void {
  expect(actual.loss).toBeCloseTo(expected.loss, 4);
  expect([...actual.rows.keys()].sort()).toEqual([...expected.rows.keys()].sort());
  for (const [prefix, row] of expected.rows) {
    for (const [id, value] of row.entries()) expect(actual.rows.get(prefix)?.[id]).toBeCloseTo(value, 4);
  }
}

describe('loss terms on the trie', () => {
  for (const shared of ['per-branch', 'once'] as const) {
    test(`give the loss and gradient of every trajectory on its own, shared tokens ${shared}`, () => {
      fc.assert(
        fc.property(fc.integer(), (seed) => {
          const rollouts = randomRollouts(new Random(seedOf('rollouts', seed)));
          const flat = naive(rollouts, shared);
          const { batch, figures } = lossBatch(rollouts, shared);
          expectEqual(onTrie(batch), flat);
          expect(batch.termNode).toEqual(batch.termNode.toSorted());

          const unshared = flatBatch(rollouts, shared === 'once' ? 'requests' : 'merged');
          expectEqual(onTrie(unshared), flat);
          expect(unshared.tokens.length).toBe(
            shared === 'once' ? figures.flatTokensPerRequest : figures.flatTokensMerged,
          );
          expect(unshared.termNode).toEqual(unshared.termNode.toSorted());
        }),
        { numRuns: 150 },
      );
    });
  }

  test('predict the last token of an inner span once for each child, at the token itself', () => {
    const loss = lossBatch([
      { turns: [plainTurn([1, 2], [3])], advantage: 1 },
      { turns: [plainTurn([1, 2], [4])], advantage: -1 },
    ]);
    expect([...loss.batch.tokens]).toEqual([1, 2, 3, 4]);
    expect([...loss.batch.termNode]).toEqual([1, 1]);
    expect([...loss.batch.termTarget]).toEqual([3, 4]);
  });

  test('keep positive and negative advantages of a shared token apart', () => {
    const turns = [plainTurn([1, 2], [3, 3])];
    const loss = lossBatch([
      { turns, advantage: 1.5 },
      { turns, advantage: -0.5 },
      { turns, advantage: -0.25 },
    ]);
    expect(termsOf(loss)).toEqual([
      { path: '12', target: 3, aPos: 1.5, aNeg: -0.75, count: 3 },
      { path: '123', target: 3, aPos: 1.5, aNeg: -0.75, count: 3 },
    ]);
    expect([...loss.termSamples]).toEqual([3, 3]);
    expect(loss.figures.sampledTokens).toBe(6);
  });

  test('share compute but not terms between versions, and between a sampled token and a prompt', () => {
    const loss = lossBatch([
      { turns: [plainTurn([1, 2], [3], 4)], advantage: 1 },
      { turns: [plainTurn([1, 2], [3], 5)], advantage: 1 },
      { turns: [plainTurn([1, 2, 3], [0], 5)], advantage: 1 },
    ]);
    expect(loss.batch.tokens.length).toBe(4);
    expect([...loss.termVersion]).toEqual([4, 5, 5]);
    expect([...loss.batch.termCount]).toEqual([1, 1, 1]);
  });

  test('weigh a token by the branches that a rollout grew from it, or once', () => {
    const turns = [plainTurn([1], [2]), plainTurn([1, 2, 0], [3]), plainTurn([1, 2, 4], [3])];
    const counts = (shared: SharedTokens) => [...lossBatch([{ turns, advantage: 1 }], shared).batch.termCount];
    expect(counts('per-branch')).toEqual([2, 1, 1]);
    expect(counts('once')).toEqual([1, 1, 1]);
  });

  test('say what each size counts: requests, merged trajectories, unique tokens', () => {
    const { figures } = lossBatch([
      { turns: [plainTurn([1, 2], [3]), plainTurn([1, 2, 3, 4], [0])], advantage: 1 },
      { turns: [plainTurn([1, 2], [4])], advantage: -1 },
    ]);
    expect(figures).toEqual({
      sampledTokens: 3,
      treeTokens: 6,
      flatTokensPerRequest: 3 + 5 + 3,
      flatTokensMerged: 5 + 3,
      entropySum: 1.5,
    });
  });

  test('learn nothing from a turn that is known as text only', () => {
    const turn: SampledTurn = { ...plainTurn([1, 2], [3]), fidelity: 'text' };
    expect(lossBatch([{ turns: [turn], advantage: 1 }]).batch.termNode.length).toBe(0);
  });

  test('refuse a turn whose arrays do not align', () => {
    const turn: SampledTurn = { ...plainTurn([1, 2], [3, 4]), versions: Int32Array.of(0) };
    expect(() => lossBatch([{ turns: [turn], advantage: 1 }])).toThrow(/2 sampled tokens .* 1 versions/);
  });
});

test('turns that extend each other are one trajectory, and a fork makes another', () => {
  const turns = [plainTurn([1], [2]), plainTurn([1, 2, 3], [4]), plainTurn([1, 2, 0], [4]), plainTurn([1], [2])];
  const { ids, ofTurn } = trajectoriesOf(turns);
  expect(ids.map((path) => [...path])).toEqual([
    [1, 2, 3, 4],
    [1, 2, 0, 4],
  ]);
  expect(ofTurn).toEqual([0, 0, 1, 0]);
});
