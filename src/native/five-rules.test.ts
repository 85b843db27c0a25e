/**
 * The five rules of the CPU engine, on whole models: a token's result is a pure function of weights and visible ids,
 * bit for bit. kernels.test.ts holds the kernels one by one to the same rules.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { Random, seedOf } from '../core/random.ts';
import {
  bitsOf,
  eachSet,
  inPieces,
  loadKernelTest,
  type Part,
  planOf,
  randomIds,
  rowsOf,
  useBestSet,
} from './kernel-case.ts';
import type { ModelShape } from './native.ts';
import { randomTensors, shapes as trainShapes } from './train-case.ts';

const native = loadKernelTest();
const { kernels } = native;
const sets = eachSet(kernels);
const blockTokens = native.cacheBlockTokens();
afterEach(() => {
  native.setThreads(1);
  kernels.flushSubnormals(false);
  useBestSet(kernels);
});

const shapes: Readonly<Record<string, ModelShape>> = {
  ...trainShapes,
  'rows wider than a chain': {
    vocabSize: 310,
    hiddenSize: 264,
    intermediateSize: 272,
    layerCount: 2,
    headCount: 3,
    kvHeadCount: 1,
    headDim: 32,
    ropeTheta: 1e6,
    normEpsilon: 1e-6,
    tiedEmbeddings: true,
    qkNorm: true,
    contextLength: 512,
  },
};

function modelOf(shape: ModelShape) {
  const random = new Random(seedOf('five rules', shape.hiddenSize, shape.headDim));
  return { random, shape, weights: native.createWeights(shape, randomTensors(shape, random)) };
}

const range = (first: number, count: number): number[] => Array.from({ length: count }, (_, i) => first + i);

for (const [name, shape] of Object.entries(shapes)) {
  describe(`a model with ${name}`, () => {
    const { random, weights } = modelOf(shape);

    test('rule 1: a sequence gets the same bits alone as in a batch of many', async () => {
      const sequences = [1, 5, 64, 65, 3, 130, 1, 40, 17, 200].map((length) =>
        randomIds(random, length, shape.vocabSize),
      );
      const parts: Part[] = sequences.map((tokens, at) => ({
        tokens,
        firstPosition: 0,
        blocks: range(at * 4, 4).reverse(),
        seed: BigInt(at),
      }));
      const together = rowsOf(await native.forward(weights, native.createCache(shape, 40), planOf(parts)));
      for (const [at, part] of parts.entries()) {
        const alone = await native.forward(weights, native.createCache(shape, 40), planOf([part]));
        expect(rowsOf(alone)[0]).toBe(together[at]);
      }
    });

    test('rules 1 and 3: chunks, the whole prompt and token by token give the same bits', async () => {
      const ids = randomIds(random, 300, shape.vocabSize);
      const run = (ends: readonly number[]) =>
        inPieces(native, weights, native.createCache(shape, 5), ids, ends, [3, 1, 4, 0, 2]);
      const single = await run(range(1, 300));
      for (const ends of [[300], [1, 63, 64, 65, 128, 255, 256, 257, 300], [97, 191, 290, 300]]) {
        expect(await run(ends)).toEqual(ends.map((end) => single[end - 1]));
      }
    });

    test('a cached prefix, copied in the middle of a block, gives the same bits as a cold start', async () => {
      const ids = randomIds(random, 200, shape.vocabSize);
      const shared = 100;
      const cache = native.createCache(shape, 8);
      await inPieces(native, weights, cache, ids.slice(0, shared + 20), [shared + 20], [0, 1]);
      native.copyBlock(cache, 1, 5, shared - blockTokens);
      const tail: Part = { tokens: ids.slice(shared), firstPosition: shared, blocks: [0, 5, 6, 7], seed: 9n };
      const hit = rowsOf(await native.forward(weights, cache, planOf([tail])));
      const cold: Part = { tokens: ids, firstPosition: 0, blocks: [0, 1, 2, 3], seed: 9n };
      expect(hit).toEqual(rowsOf(await native.forward(weights, native.createCache(shape, 4), planOf([cold]))));
    });

    test('one thread, two and five give the same bits', async () => {
      const parts = [90, 1, 1, 33, 150, 2].map((length, at): Part => {
        return { tokens: randomIds(random, length, shape.vocabSize), firstPosition: 0, blocks: range(at * 3, 3) };
      });
      const results: string[][] = [];
      for (const threads of [1, 2, 5]) {
        native.setThreads(threads);
        results.push(rowsOf(await native.forward(weights, native.createCache(shape, 18), planOf(parts))));
      }
      expect(results[1]).toEqual(results[0]);
      expect(results[2]).toEqual(results[0]);
    });

    for (const { set, missing, note } of sets) {
      test.skipIf(missing)(`rules 2 and 4: ${set} gives the bits of the portable build${note}`, async () => {
        const ids = randomIds(random, 70, shape.vocabSize);
        kernels.useIsa('portable');
        const portable = bitsOf(await native.logits(weights, ids));
        kernels.useIsa(set);
        expect(native.instructionSet()).toBe(set);
        expect(bitsOf(await native.logits(weights, ids)) === portable).toBe(true);
      });
    }

    test('rule 5: score gives the log-probabilities that sampling reported', async () => {
      const cache = native.createCache(shape, 5);
      const ids = [...randomIds(random, 20, shape.vocabSize)];
      const sampled: number[] = [];
      let from = 0;
      while (ids.length < 290) {
        const tokens = Int32Array.from(ids.slice(from));
        const plan = planOf([{ tokens, firstPosition: from, blocks: [4, 2, 0, 1, 3], seed: 77n }]);
        const { ids: drawn, logprobs } = await native.forward(weights, cache, plan);
        from = ids.length;
        ids.push(drawn[0] ?? -1);
        sampled.push(logprobs[0] ?? Number.NaN);
      }
      const scored = await native.score(weights, Int32Array.from(ids));
      expect(scored.length).toBe(289);
      expect(bitsOf(scored.slice(19))).toBe(bitsOf(Float32Array.from(sampled)));
    });

    test('score and entropy are the log-softmax of logits', async () => {
      const ids = randomIds(random, 60, shape.vocabSize);
      const logits = await native.logits(weights, ids);
      const scored = await native.score(weights, ids);
      for (let at = 0; at < 59; at++) {
        const row = [...logits.slice(at * shape.vocabSize, (at + 1) * shape.vocabSize)];
        const logSum = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0));
        expect(scored[at]).toBeCloseTo((row[ids[at + 1] ?? 0] ?? 0) - logSum, 4);
      }
    });
  });
}

describe('rule 4: the floating-point mode', () => {
  test('subnormal numbers survive in every pool thread, whatever mode the starting thread has', () => {
    kernels.flushSubnormals(true);
    native.setThreads(4);
    const halves = kernels.poolHalves();
    kernels.flushSubnormals(false);
    expect(halves.length).toBe(4);
    expect(halves.every((half) => half > 0)).toBe(true);
  });

  test('subnormal logits survive in background threads, whatever mode the calling thread has', async () => {
    const { random, shape, weights: ordinary } = modelOf(trainShapes['tied, QK-norm'] as ModelShape);
    const { names, data } = native.exportWeights(ordinary);
    const gain = names.indexOf('model.norm.weight');
    const weights = native.createWeights(shape, {
      names,
      data: data.map((values, at) => (at === gain ? values.map(() => 1e-41) : values)),
    });
    const ids = randomIds(random, 9, shape.vocabSize);
    kernels.flushSubnormals(true);
    const rows = await Promise.all([1, 2, 3, 4, 5].map(() => native.logits(weights, ids)));
    kernels.flushSubnormals(false);
    for (const row of rows) expect(row.some((logit) => logit !== 0)).toBe(true);
  });
});
