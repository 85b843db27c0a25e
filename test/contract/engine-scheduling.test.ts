import fc from 'fast-check';
import { expect, test } from 'vitest';
import { policyVersion } from '../../src/core/ids.ts';
import type { EmbeddedOptions } from '../../src/engine/engines/embedded.ts';
import { openEmbedded } from '../../src/engine/engines/embedded.ts';
import { randomCheckpoint } from '../../src/engine/random-checkpoint.ts';
import { ask, collect, requestOf } from './engine-collect.ts';
import { HashNative, hashBlockTokens } from './engine-hash-native.ts';
import { tinyShape } from './engine-models.ts';

const seed = 20261125;
const checkpoint = randomCheckpoint(tinyShape, 1n);
const open = async (options: Partial<EmbeddedOptions> = {}) => {
  const native = new HashNative();
  const engine = await openEmbedded({ model: checkpoint, cacheBlocks: 64, ...options }, native);
  return { native, engine };
};
const reaches = (native: HashNative, call: number) =>
  new Promise<void>((resolve) => {
    native.onForward = (now) => now >= call && resolve();
  });
const range = (length: number, from = 0) => Array.from({ length }, (_, i) => (from + i) % tinyShape.vocabSize);

test('a completion depends on prompt, seed and sampling alone, whatever batch, chunk, cache and order', async () => {
  const prompt = fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 40 });
  const wish = fc.record({ prompt, tokens: fc.integer({ min: 1, max: 30 }), seed: fc.bigInt({ min: 0n, max: 3n }) });
  const machine = fc.record({
    stepTokens: fc.integer({ min: 1, max: 40 }),
    maxSequences: fc.integer({ min: 1, max: 9 }),
    cacheBlocks: fc.integer({ min: tinyShape.contextLength / hashBlockTokens, max: 60 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(wish, { minLength: 1, maxLength: 24 }), machine, async (wishes, options) => {
      const { engine } = await open(options);
      const alone = await Promise.all(
        wishes.map(async (each) => {
          const { engine: fresh } = await open();
          return ask(fresh, each.prompt, { maxTokens: each.tokens, seed: each.seed, stopIds: [3] });
        }),
      );
      for (let round = 0; round < 2; round++) {
        const together = wishes.map((each) =>
          ask(engine, each.prompt, { maxTokens: each.tokens, seed: each.seed, stopIds: [3] }),
        );
        expect(await Promise.all(together)).toEqual(alone);
      }
      // A session's next turn: prompt, completion, and some more.
      const turns = await Promise.all(
        wishes.map((each, i) => ask(engine, [...each.prompt, ...(alone[i]?.ids ?? []), 5].slice(0, 60))),
      );
      for (const [i, turn] of turns.entries()) {
        const ids = [...(wishes[i]?.prompt ?? []), ...(alone[i]?.ids ?? []), 5].slice(0, 60);
        const scored = await engine.score(Int32Array.from([...ids, ...turn.ids]));
        expect(turn.logprobs).toEqual([...scored.subarray(ids.length - 1)]);
      }
    }),
    { seed, numRuns: 100 },
  );
});

test("a group's prompt is computed once, and a session's next turn computes only what is new", async () => {
  const { engine } = await open();
  const prompt = range(40);
  const group = await Promise.all([0n, 1n, 2n, 3n].map((each) => ask(engine, prompt, { seed: each, maxTokens: 4 })));
  const first = await engine.statistics();
  expect(first.promptTokens).toBe(160);
  // The others compute their last prompt token again, since its logits are needed.
  expect(first.computedTokens).toBe(40 + 3 + 4 * 3);
  expect(first.reusedTokens).toBe(3 * 39);
  const next = [...prompt, ...(group[2]?.ids ?? []), 9, 9, 9];
  await ask(engine, next, { maxTokens: 1 });
  const second = await engine.statistics();
  expect(second.computedTokens - first.computedTokens).toBe(4);
  expect(second.reusedTokens - first.reusedTokens).toBe(43);
});

test('steps keep to their tokens and sequences, and everything still ends', async () => {
  const { engine, native } = await open({ stepTokens: 16, maxSequences: 5 });
  await Promise.all(range(30).map((i) => ask(engine, range(20, i))));
  expect(native.mostTokens).toBeLessThanOrEqual(16);
  expect(native.mostSequences).toBeLessThanOrEqual(5);
});

test('sequences that would outgrow the cache together wait for each other, and none fails', async () => {
  const { engine, native } = await open({ cacheBlocks: 32 });
  const all = await Promise.all(range(12).map((i) => ask(engine, range(9, i * 3), { maxTokens: 71 })));
  for (const { ids, end } of all) expect([ids.length, end.reason]).toEqual([71, 'length']);
  expect(native.mostSequences).toBe(3);
});

test('a cache bounded in bytes never passes its bound, and what was evicted comes out the same again', async () => {
  const cacheBytes = 40 * 4 * hashBlockTokens + 17;
  const native = new HashNative();
  const engine = await openEmbedded({ model: checkpoint, cacheBytes }, native);
  let most = 0;
  native.onForward = async () => {
    most = Math.max(most, (await engine.statistics()).cacheBytes);
  };
  const rounds = [];
  for (let round = 0; round < 2; round++) {
    rounds.push(await Promise.all(range(20).map((i) => ask(engine, range(30 + i, i * 5), { maxTokens: 30 }))));
  }
  expect(rounds[1]).toEqual(rounds[0]);
  const { engine: roomy } = await open({ cacheBlocks: 4096 });
  expect(await Promise.all(range(20).map((i) => ask(roomy, range(30 + i, i * 5), { maxTokens: 30 })))).toEqual(
    rounds[0],
  );
  expect(most).toBe(40 * 4 * hashBlockTokens);
  expect((await engine.statistics()).evictedBlocks).toBeGreaterThan(40);
  await expect(openEmbedded({ model: checkpoint, cacheBytes: 1000 }, native)).rejects.toMatchObject({
    boundary: 'config',
    message: 'cacheBytes is 1000; one context of 256 needs 1024',
  });
});

test('eviction takes the longest unused prefix and leaves what is in use', async () => {
  // 32 blocks: three prompts of 9 blocks fit, a fourth does not.
  const { engine } = await open({ cacheBlocks: 32 });
  const reused = async (from: number) => {
    const before = (await engine.statistics()).reusedTokens;
    await ask(engine, range(72, from), { maxTokens: 1 });
    return (await engine.statistics()).reusedTokens - before;
  };
  for (const from of [0, 10, 20]) expect(await reused(from)).toBe(0);
  expect(await reused(0)).toBe(71);
  expect(await reused(30)).toBe(0);
  expect([await reused(0), await reused(20)]).toEqual([71, 71]);
  expect(await reused(10)).toBeLessThan(71);
});

test('a forward call that fails ends its requests with the failure, and later ones are well', async () => {
  const { engine, native } = await open();
  native.forwardFails = 3;
  const failed = await Promise.all([ask(engine, range(9)), ask(engine, range(9, 4))]);
  for (const { end } of failed) expect(end).toMatchObject({ reason: 'failed', message: /planted failure/ });
  const { engine: fresh } = await open();
  expect(await ask(engine, range(9))).toEqual(await ask(fresh, range(9)));
});

test('an aborted request ends at a token boundary, running or waiting, and its blocks come back', async () => {
  const { engine, native } = await open({ maxSequences: 1, cacheBlocks: tinyShape.contextLength / hashBlockTokens });
  const controller = new AbortController();
  const running = collect(engine.generate(requestOf(range(9), { maxTokens: 50, signal: controller.signal })));
  const waiting = ask(engine, range(9, 3), { signal: controller.signal });
  const other = ask(engine, range(9, 7), { maxTokens: 50 });
  await reaches(native, 5);
  controller.abort();
  expect((await running).end).toEqual({ type: 'end', reason: 'failed', message: 'aborted by the caller' });
  expect((await waiting).end.reason).toBe('failed');
  expect((await other).end.reason).toBe('length');
});

test('a consumer that leaves early stops its request', async () => {
  const { engine } = await open();
  for await (const _ of engine.generate(requestOf(range(9), { maxTokens: 50 }))) break;
  await ask(engine, range(4));
  expect((await engine.statistics()).sampledTokens).toBeLessThan(12 + 30);
});

test('pausing hands back what was sampled; prompt plus that goes on to the same completion', async () => {
  const { engine, native } = await open();
  const whole = await ask(engine, range(9), { maxTokens: 40 });
  const paused = ask(engine, range(9), { maxTokens: 40 });
  await reaches(native, native.forwards + 5);
  await engine.pause();
  const before = await paused;
  expect(before.end.reason).toBe('paused');
  const after = ask(engine, [...range(9), ...before.ids], { maxTokens: 40 - before.ids.length });
  await engine.resume();
  expect([...before.ids, ...(await after).ids]).toEqual(whole.ids);
});

test('publishing leaves running requests under their version and gives new ones the new weights', async () => {
  const { engine, native } = await open();
  const old = await ask(engine, range(9), { maxTokens: 40 });
  const running = ask(engine, range(9), { maxTokens: 40 });
  await reaches(native, native.forwards + 3);
  const { version } = await engine.train({
    batch: {
      tokens: Int32Array.of(1, 2),
      spanStart: Int32Array.of(0, 2),
      spanParent: Int32Array.of(-1),
      termNode: Int32Array.of(0),
      termTarget: Int32Array.of(2),
      termBehaviorLogprob: Float32Array.of(0),
      termAPos: Float32Array.of(0),
      termANeg: Float32Array.of(0),
      termCount: Float32Array.of(1),
    },
    objective: { kind: 'cross-entropy', normalizer: 1 },
    optimizer: {
      matrices: 'adamw',
      learningRate: 1,
      muonLearningRate: 0,
      muonMomentum: 0,
      beta1: 0,
      beta2: 0,
      epsilon: 0,
      weightDecay: 0,
      gradientClip: Number.POSITIVE_INFINITY,
    },
  });
  expect(version).toBe(1);
  expect(engine.version).toBe(0);
  expect(await engine.publish()).toBe(policyVersion(1));
  const now = await ask(engine, range(9), { maxTokens: 40 });
  expect(await running).toEqual(old);
  expect(now.versions).toEqual(now.ids.map(() => 1));
  expect(now.ids).not.toEqual(old.ids);
  expect((await engine.statistics()).reusedTokens).toBe(8);
});
