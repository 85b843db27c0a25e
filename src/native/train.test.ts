import { expect, test } from 'vitest';
import { Random, seedOf } from '../core/random.ts';
import type { Tensors, TrainPlan } from './native.ts';
import { loadNative } from './native.ts';
import {
  inDouble,
  loadTwin,
  pathOf,
  randomPlan,
  randomTensors,
  relativeError,
  shapes,
  type TrieWish,
  tinyShape,
} from './train-case.ts';

const native = loadNative();
const twin = loadTwin();

const wishes: Readonly<Record<string, TrieWish>> = {
  'one path': { roots: 1, spans: 1, maxSpanTokens: 60, termChance: 0.3 },
  'spans of one token': { roots: 1, spans: 40, maxSpanTokens: 1, termChance: 0.4 },
  'a forest': { roots: 5, spans: 14, maxSpanTokens: 9, termChance: 0.3 },
  'short leaves under a long trunk': { roots: 1, spans: 30, maxSpanTokens: 3, trunkTokens: 170, termChance: 0.3 },
  'a long prefix with forks': { roots: 1, spans: 9, maxSpanTokens: 150, termChance: 0.2 },
};

/** ||a - b|| / ||b|| of the tensor where it is largest. */
function worstError(gradients: Tensors, exact: { names: readonly string[]; data: readonly Float64Array[] }) {
  let worst = { name: '', error: 0 };
  for (const [at, name] of gradients.names.entries()) {
    const error = relativeError(gradients.data[at] ?? [], exact.data[exact.names.indexOf(name)] ?? []);
    if (!(error <= worst.error)) worst = { name, error };
  }
  return worst;
}

for (const [shapeName, shape] of Object.entries(shapes)) {
  for (const [wishName, wish] of Object.entries(wishes)) {
    for (const objective of ['cross-entropy', 'clipped'] as const) {
      test(`trie gradients agree with the flat twin, double and float: ${shapeName}, ${wishName}, ${objective}`, async () => {
        const random = new Random(seedOf('trie gradients', shapeName, wishName, objective));
        const tensors = randomTensors(shape, random);
        const plan: TrainPlan = { ...randomPlan(shape, random, wish), objective };
        const trainer = native.createTrainer(native.createWeights(shape, tensors));
        const gradients = await native.gradients(trainer, plan);
        const exact = twin.twin(shape, inDouble(tensors), plan, 'double', true);
        const flat = twin.twin(shape, inDouble(tensors), plan, 'float', true);
        expect(worstError(gradients, exact).error, worstError(gradients, exact).name).toBeLessThan(1e-5);
        expect(worstError(gradients, flat).error, worstError(gradients, flat).name).toBeLessThan(1e-5);
        const outcome = await native.train(trainer, plan);
        expect(outcome.loss).toBeCloseTo(exact.loss, 4);
        expect(outcome.forwardTokens).toBe(plan.tokens.length);
      });
    }
  }
}

test('a position is the depth in the trie, never the index in the packed row', async () => {
  const random = new Random(seedOf('position is depth'));
  const weights = native.createWeights(tinyShape, randomTensors(tinyShape, random));
  const plan = randomPlan(tinyShape, random, { roots: 1, spans: 1, maxSpanTokens: 1, termChance: 1 });
  const branch = [5, 9, 2, 30];
  // Root, then one branch twice: the second copy has other indices but the same depths.
  const twice: TrainPlan = {
    ...plan,
    tokens: Int32Array.from([7, ...branch, ...branch]),
    spanStart: Int32Array.from([0, 1, 5, 9]),
    spanParent: Int32Array.from([-1, 0, 0]),
    termNode: Int32Array.from([3, 7]),
    termTarget: Int32Array.from([11, 11]),
    termBehaviorLogprob: new Float32Array(2),
    termAPos: new Float32Array(2),
    termANeg: new Float32Array(2),
    termCount: Float32Array.from([1, 1]),
    normalizer: 2,
  };
  const once: TrainPlan = {
    ...twice,
    tokens: Int32Array.from([7, ...branch]),
    spanStart: Int32Array.from([0, 1, 5]),
    spanParent: Int32Array.from([-1, 0]),
    termNode: Int32Array.from([3]),
    termTarget: Int32Array.from([11]),
    termBehaviorLogprob: new Float32Array(1),
    termAPos: new Float32Array(1),
    termANeg: new Float32Array(1),
    termCount: Float32Array.from([1]),
    normalizer: 1,
  };
  const both = await native.gradients(native.createTrainer(weights), twice);
  const single = await native.gradients(native.createTrainer(weights), once);
  for (const [at, values] of both.data.entries()) {
    expect(relativeError(values, single.data[at] ?? []), both.names[at]).toBeLessThan(1e-6);
  }
});

test('policyLogprobs equal the bits of score on every path from the root to a node', async () => {
  for (const [name, shape] of Object.entries(shapes)) {
    const random = new Random(seedOf('policy logprobs', name));
    const weights = native.createWeights(shape, randomTensors(shape, random));
    for (const wish of [
      { roots: 3, spans: 12, maxSpanTokens: 90, termChance: 0.2 },
      { roots: 1, spans: 40, maxSpanTokens: 4, trunkTokens: 130, termChance: 0.2 },
    ]) {
      const plan = randomPlan(shape, random, wish);
      const { termLogprobs } = await native.train(native.createTrainer(weights), plan);
      for (const [term, node] of plan.termNode.entries()) {
        const span = plan.spanStart.findLastIndex((start) => start <= node);
        const { ids, nodes } = pathOf(plan, span);
        const path = Int32Array.from([...ids.slice(0, nodes.indexOf(node) + 1), plan.termTarget[term] ?? 0]);
        expect(termLogprobs[term]).toBe((await native.score(weights, path)).at(-1));
      }
    }
  }
});

test('short siblings share matrix calls, and hold no more than a twentieth of the longest path', async () => {
  const shape = { ...tinyShape, contextLength: 1024 };
  const random = new Random(seedOf('shared pieces'));
  const weights = native.createWeights(shape, randomTensors(shape, random));
  const pieces = async (trunk: number, leaves: number, tokens: number): Promise<number> => {
    const base = randomPlan(shape, random, { roots: 1, spans: 1, maxSpanTokens: 1, termChance: 1 });
    const count = trunk + leaves * tokens;
    const plan: TrainPlan = {
      ...base,
      tokens: Int32Array.from({ length: count }, () => random.below(shape.vocabSize)),
      spanStart: Int32Array.from([0, ...Array.from({ length: leaves + 1 }, (_, leaf) => trunk + leaf * tokens)]),
      spanParent: Int32Array.from({ length: leaves + 1 }, (_, span) => (span === 0 ? -1 : 0)),
    };
    const outcome = await native.train(native.createTrainer(weights), plan);
    expect(outcome.forwardTokens).toBe(count);
    return outcome.pieces;
  };
  // 500 tokens are 4 pieces; the longest path of 501 lets 25 be held beside it, that of 516 too.
  expect(await pieces(500, 100, 1)).toBe(4 + 4);
  expect(await pieces(500, 100, 3)).toBe(4 + Math.ceil(100 / 8));
  expect(await pieces(500, 10, 16)).toBe(4 + 10);
  expect(await pieces(800, 10, 16)).toBe(7 + 5);
  expect(await pieces(10, 10, 1)).toBe(1 + 10);
});

test("accumulated gradients are the batch's own, one step later; a part that fails drops them", async () => {
  const random = new Random(seedOf('accumulate'));
  const weights = native.createWeights(tinyShape, randomTensors(tinyShape, random));
  const plan = randomPlan(tinyShape, random, { roots: 1, spans: 9, maxSpanTokens: 20, termChance: 0.4 });
  const half: TrainPlan = { ...plan, normalizer: 2 * plan.normalizer };
  const once = native.createTrainer(weights);
  const twice = native.createTrainer(weights);
  const whole = await native.train(once, plan);
  const first = await native.accumulate(twice, half);
  expect(native.exportWeights(native.trainedWeights(twice))).toEqual(native.exportWeights(weights));
  const second = await native.train(twice, half);
  expect(first.gradientNorm * 2).toBeCloseTo(whole.gradientNorm, 6);
  // Halves are exact in binary, so the sum of two is the whole to the bit.
  expect(second.gradientNorm).toBe(whole.gradientNorm);
  expect(native.exportWeights(native.trainedWeights(twice))).toEqual(native.exportWeights(native.trainedWeights(once)));
  expect(native.exportOptimizer(twice)).toEqual(native.exportOptimizer(once));

  const again = native.createTrainer(weights);
  await native.accumulate(again, plan);
  await expect(native.accumulate(again, { ...plan, normalizer: 0 })).rejects.toThrow('normalizer must be positive');
  expect((await native.train(again, plan)).gradientNorm).toBe(whole.gradientNorm);
});

test('a term whose ratio is clipped sends no gradient and counts in clipFraction', async () => {
  const random = new Random(seedOf('clip'));
  const weights = native.createWeights(tinyShape, randomTensors(tinyShape, random));
  const base = randomPlan(tinyShape, random, { roots: 1, spans: 1, maxSpanTokens: 8, termChance: 0 });
  const one = (values: number) => Float32Array.of(values);
  const plan = (behavior: number, aPos: number, aNeg: number): TrainPlan => ({
    ...base,
    termNode: Int32Array.of(0),
    termTarget: Int32Array.of(3),
    termBehaviorLogprob: one(behavior),
    termAPos: one(aPos),
    termANeg: one(aNeg),
    termCount: one(1),
    objective: 'clipped',
    normalizer: 1,
  });
  const run = async (behavior: number, aPos: number, aNeg: number) => {
    const trainer = native.createTrainer(weights);
    return native.train(trainer, plan(behavior, aPos, aNeg));
  };
  const policy = (await run(0, 1, 0)).termLogprobs[0] ?? 0;
  // Ratio 2 is above 1.28: a positive advantage is cut, a negative one is not. Ratio 1/2 is below 0.8: the reverse.
  expect(await run(policy - Math.log(2), 1, 0)).toMatchObject({ clipFraction: 1, gradientNorm: 0 });
  expect((await run(policy - Math.log(2), 0, -1)).gradientNorm).toBeGreaterThan(0);
  expect((await run(policy - Math.log(2), 0, -1)).clipFraction).toBe(0);
  expect(await run(policy + Math.log(2), 0, -1)).toMatchObject({ clipFraction: 1, gradientNorm: 0 });
  expect((await run(policy + Math.log(2), 1, 0)).clipFraction).toBe(0);
  expect((await run(policy, 1, 0)).loss).toBeCloseTo(-1, 5);
});

test('a plan that breaks the layout is refused with one line, and nothing changes', async () => {
  const random = new Random(seedOf('refused'));
  const trainer = native.createTrainer(native.createWeights(tinyShape, randomTensors(tinyShape, random)));
  const plan = randomPlan(tinyShape, random, { roots: 1, spans: 3, maxSpanTokens: 3, termChance: 1 });
  const before = native.exportWeights(native.trainedWeights(trainer));
  const broken: Partial<TrainPlan>[] = [
    { tokens: plan.tokens.map(() => 37) },
    { spanParent: Int32Array.from([-1, 0, 5]) },
    { spanStart: Int32Array.from([0, 1, 2]) },
    { termNode: plan.termNode.map(() => 1000) },
    { termTarget: plan.termTarget.map(() => -1) },
    { termCount: plan.termCount.map(() => Number.NaN) },
    { normalizer: 0 },
    { learningRate: Number.NaN },
    { beta2: 1 },
    { gradientClip: 0 },
  ];
  for (const change of broken) {
    await expect(native.train(trainer, { ...plan, ...change })).rejects.toThrow(/^[^\n]+$/);
  }
  expect(native.exportWeights(native.trainedWeights(trainer))).toEqual(before);
});
