/**
 * What every engine keeps to. Each kind runs the whole suite; what a kind cannot do is skipped with the reason.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { policyVersion } from '../../src/core/ids.ts';
import { noTruncation, type Truncation } from '../../src/core/truncation.ts';
import { readCheckpoint, snapshotSha256, writeCheckpoint } from '../../src/engine/checkpoint.ts';
import type { GenerateEvent, LocalEngine, OptimizerStep, Sampler, TrieBatch } from '../../src/engine/engine.ts';
import { openEmbedded } from '../../src/engine/engines/embedded.ts';
import { scoreIds } from '../../src/engine/score-ids.ts';
import { createEngineHost } from '../../src/host/engine-host.ts';
import { layoutTrajectories } from '../../src/trie/layout.ts';
import { ask, type Completion, collect, requestOf } from './engine-collect.ts';
import { kindsOf } from './engine-kinds.ts';
import { boldStep, livelyCheckpoint, tinyShape } from './engine-models.ts';
import { replacesWeights } from './weights-contract.ts';

let directory = '';
let model = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'espalier-engine-'));
  model = join(directory, 'model');
  await writeCheckpoint(model, livelyCheckpoint());
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Each leaves the likeliest token alone. */
const filters: readonly Truncation[] = [
  { topK: 1, topP: 1, minP: 0 },
  { topK: 0, topP: 1e-6, minP: 0 },
  { topK: 0, topP: 1, minP: 1 },
];
const range = (length: number, from = 0) => Array.from({ length }, (_, i) => (i * 7 + from) % tinyShape.vocabSize);
const kinds = kindsOf(() => model);

for (const { name, skip, open, tolerance } of kinds) {
  describe.skipIf(skip !== null)(`${name} samples${skip === null ? '' : ` (skipped: ${skip})`}`, () => {
    let engine: Sampler & { close?(): Promise<void> };
    beforeAll(async () => {
      engine = await open();
    });
    afterAll(() => engine?.close?.());

    test('maxTokens ends a completion with `length` and exactly that many tokens', async () => {
      const { ids, end } = await ask(engine, range(5), { maxTokens: 21 });
      expect(ids.length).toBe(21);
      expect(end).toEqual({ type: 'end', reason: 'length' });
    });

    test('a stop id ends a completion with `stop` and is part of it', async () => {
      const whole = await ask(engine, range(5), { maxTokens: 21 });
      const stopId = whole.ids[9] as number;
      const { ids, end } = await ask(engine, range(5), { maxTokens: 21, stopIds: [stopId] });
      expect(ids).toEqual(whole.ids.slice(0, whole.ids.indexOf(stopId) + 1));
      expect(end.reason).toBe('stop');
    });

    test('prompt and completion together never pass the context', async () => {
      const { ids, end } = await ask(engine, range(engine.contextLength - 3), { maxTokens: 20 });
      expect([ids.length, end.reason]).toEqual([3, 'length']);
      const none = await ask(engine, range(engine.contextLength), { maxTokens: 20 });
      expect([none.ids.length, none.end.reason]).toEqual([0, 'length']);
    });

    test('an aborted request ends with a failure that says so', async () => {
      const { end } = await ask(engine, range(5), { maxTokens: 100, signal: AbortSignal.abort() });
      expect(end).toEqual({ type: 'end', reason: 'failed', message: 'aborted by the caller' });
      const leaving = new AbortController();
      const left = ask(engine, range(5), { maxTokens: 200, signal: leaving.signal });
      leaving.abort();
      expect((await left).end).toEqual({ type: 'end', reason: 'failed', message: 'aborted by the caller' });
    });

    test('equal requests get equal completions', async () => {
      const [first, second] = await Promise.all([ask(engine, range(30)), ask(engine, range(30))]);
      expectSame(first, second, tolerance);
      expectSame(await ask(engine, range(30)), first, tolerance);
    });

    test('truncated sampling keeps to the kept tokens, and log-probabilities are those of all', async () => {
      const greedy = await ask(engine, range(30), { temperature: 0 });
      for (const truncation of filters) expectSame(await ask(engine, range(30), { truncation }), greedy, tolerance);
      if (name === 'scripted') return;
      expect((await ask(engine, range(30))).ids).not.toEqual(greedy.ids);
      const bad = await ask(engine, range(4), { truncation: { topK: 0, topP: 0, minP: 0 } });
      expect(bad.end).toMatchObject({ reason: 'failed', message: expect.stringContaining('topP is 0') });
    });

    test('an impossible request fails, and the next one is well', async () => {
      expect((await ask(engine, range(5), { maxTokens: 0 })).end.reason).toBe(
        name === 'scripted' ? 'length' : 'failed',
      );
      expect((await ask(engine, range(5))).end.reason).toBe('length');
    });
  });
}

replacesWeights(kinds);

function expectSame(got: Completion, wanted: Completion, tolerance: number): void {
  expect([got.ids, got.versions, got.end]).toEqual([wanted.ids, wanted.versions, wanted.end]);
  expect(got.entropies).toEqual(wanted.entropies);
  got.logprobs.forEach((logprob, i) => {
    expect(Math.abs(logprob - (wanted.logprobs[i] as number))).toBeLessThanOrEqual(tolerance);
  });
}

const built = existsSync(new URL('../../native/build/espalier.node', import.meta.url));
const localEngines = ['embedded', 'host(embedded)'].map((name) => ({ name, skip: built ? null : 'no native addon' }));
const openLocal = (name: string, options = {}): Promise<LocalEngine> =>
  name === 'embedded'
    ? openEmbedded({ model, threads: 2, ...options })
    : createEngineHost({ model, threads: 2, ...options });

for (const { name, skip } of localEngines) {
  describe.skipIf(skip !== null)(`${name} owns its weights${skip === null ? '' : ` (skipped: ${skip})`}`, () => {
    test.for([
      { stepTokens: 512, maxSequences: 64 },
      { stepTokens: 7, maxSequences: 3 },
      { stepTokens: 40, maxSequences: 16, cacheBytes: 4 * 64 * 2 * 2 * (8 + 16) * 4 },
    ])('every log-probability equals `score` bit for bit, with %o', async (options) => {
      await using opened = closing(await openLocal(name, options));
      const { engine } = opened;
      const prompts = [range(1), range(150), range(150), range(90), range(64), range(65, 3), range(2, 9)];
      for (let round = 0; round < 2; round++) {
        const all = await Promise.all(
          prompts.map((ids, i) =>
            ask(engine, ids, {
              seed: BigInt(i),
              maxTokens: 5 + i * 9,
              temperature: i % 3 === 2 ? 0 : 1,
              truncation: truncations[i % truncations.length] as Truncation,
            }),
          ),
        );
        for (const [i, { ids, logprobs }] of all.entries()) {
          const prompt = prompts[i] as number[];
          const scored = await engine.score(Int32Array.from([...prompt, ...ids]));
          expect(logprobs).toEqual([...scored.subarray(prompt.length - 1)]);
          // The session's next turn.
          if (round === 0) prompts[i] = [...prompt, ...ids, 4, 2].slice(0, 200);
        }
      }
      const { reusedTokens, cacheBytes, evictedBlocks } = await engine.statistics();
      expect(reusedTokens).toBeGreaterThan(0);
      if (options.cacheBytes === undefined) return;
      expect(cacheBytes).toBeLessThanOrEqual(options.cacheBytes);
      expect(evictedBlocks).toBeGreaterThan(0);
    });

    test('truncated sampling: the same alone and in a batch, top-k 1 is greedy, and log-probabilities are the whole ones', async () => {
      await using opened = closing(await openLocal(name));
      const { engine } = opened;
      const wishes = truncations.map((truncation, i) => ({
        truncation,
        seed: BigInt(i),
        temperature: 1.5,
        maxTokens: 25,
      }));
      const together = await Promise.all(wishes.map((wish) => ask(engine, range(40), wish)));
      for (const [i, wish] of wishes.entries()) expect(await ask(engine, range(40), wish)).toEqual(together[i]);
      const greedy = await ask(engine, range(40), { temperature: 0, maxTokens: 25 });
      const one = await ask(engine, range(40), { truncation: { topK: 1, topP: 1, minP: 0 }, maxTokens: 25 });
      expect(one).toEqual(greedy);
      expect(together[1]?.ids).not.toEqual(together[0]?.ids);
      const bad = await ask(engine, range(4), { truncation: { topK: 0, topP: 0, minP: 0 } });
      expect(bad.end).toMatchObject({ reason: 'failed', message: expect.stringContaining('topP is 0') });
    });

    test('scoreIds of the folder gives the same bits as the engine', async () => {
      await using opened = closing(await openLocal(name));
      const ids = Int32Array.from(range(70));
      expect(await scoreIds(model, ids)).toEqual(await opened.engine.score(ids));
    });

    test('training recomputes recorded log-probabilities exactly, then samples under the new version', async () => {
      await using opened = closing(await openLocal(name));
      const { engine } = opened;
      const group = await Promise.all([1n, 2n, 3n].map((seed) => ask(engine, range(80), { seed, maxTokens: 30 })));
      const result = await engine.train({ batch: batchOf(range(80), group), objective, optimizer });
      expect([...result.termLogprobs].sort()).toEqual(group.flatMap(({ logprobs }) => logprobs).sort());
      expect([result.version, engine.version]).toEqual([1, 0]);
      expect(Number.isFinite(result.loss) && result.gradientNorm > 0).toBe(true);
      expect(await engine.publish()).toBe(1);
      expect(engine.version).toBe(1);
      const now = await ask(engine, range(80), { seed: 1n, maxTokens: 30 });
      expect(now.versions).toEqual(now.ids.map(() => 1));
      const scored = await engine.score(Int32Array.from([...range(80), ...now.ids]));
      expect(now.logprobs).toEqual([...scored.subarray(79)]);
      expect(now.logprobs).not.toEqual(group[0]?.logprobs);
    });

    test('a paused request goes on under new weights, each part with the bits of its own version', async () => {
      await using opened = closing(await openLocal(name));
      const { engine } = opened;
      const prompt = range(30);
      const group = await Promise.all([1n, 2n].map((seed) => ask(engine, prompt, { seed, maxTokens: 20 })));
      const before = await caught(engine, prompt);
      const old = await engine.score(Int32Array.from([...prompt, ...before.ids]));
      expect(before.logprobs).toEqual([...old.subarray(prompt.length - 1)]);
      await engine.train({ batch: batchOf(prompt, group), objective, optimizer });
      await engine.publish();
      await engine.resume();
      const joined = [...prompt, ...before.ids];
      const after = await ask(engine, joined, { maxTokens: 10 });
      expect([before.versions.at(-1), ...new Set(after.versions)]).toEqual([0, 1]);
      const scored = await engine.score(Int32Array.from([...joined, ...after.ids]));
      expect(after.logprobs).toEqual([...scored.subarray(joined.length - 1)]);
    });

    test('a batch beyond maxTrieTokens is split between its trees and makes the same step', async () => {
      await using whole = closing(await openLocal(name));
      await using split = closing(await openLocal(name, { maxTrieTokens: 60 }));
      const group = await Promise.all([3, 9, 17].map((from) => ask(whole.engine, range(40, from), { maxTokens: 15 })));
      const trees = group.map((sampled, i) => batchOf(range(40, [3, 9, 17][i] as number), [sampled]));
      const batch = trees.reduce(besides);
      const [one, parts] = await Promise.all(
        [whole, split].map(({ engine }) => engine.train({ batch, objective, optimizer })),
      );
      expect(parts?.termLogprobs).toEqual(one?.termLogprobs);
      expect(parts?.version).toBe(1);
      expect(parts?.treeTokens).toBe(one?.treeTokens);
      expect(parts?.loss).toBeCloseTo(one?.loss as number, 10);
      expect((parts?.gradientNorm as number) / (one?.gradientNorm as number)).toBeCloseTo(1, 5);
      await using narrow = closing(await openLocal(name, { maxTrieTokens: 50 }));
      await expect(narrow.engine.train({ batch, objective, optimizer })).rejects.toThrow(/beyond the 50 of one pass/);
    });

    test('training and scoring beside sampling change nothing that is sampled', async () => {
      await using opened = closing(await openLocal(name));
      const { engine } = opened;
      const wishes = [range(60), range(90, 2), range(90, 5)];
      const quiet = await Promise.all(wishes.map((ids, i) => ask(engine, ids, { seed: BigInt(i), maxTokens: 60 })));
      const batch = batchOf(range(60), quiet.slice(0, 1));
      const busy = wishes.map((ids, i) => ask(engine, [...ids], { seed: BigInt(i), maxTokens: 60 }));
      const trained = await Promise.all([1, 2, 3].map(() => engine.train({ batch, objective, optimizer })));
      await Promise.all(wishes.map((ids) => engine.score(Int32Array.from(ids))));
      await engine.publish();
      expect(await Promise.all(busy)).toEqual(quiet);
      expect(trained.map(({ version }) => version)).toEqual([1, 2, 3]);
    });

    test('training that goes on from a saved folder gives the same weights as training without a stop', async () => {
      const saved = join(directory, `${name}-saved`);
      await using opened = closing(await openLocal(name));
      const { engine } = opened;
      const group = await Promise.all([1n, 2n].map((seed) => ask(engine, range(20), { seed, maxTokens: 9 })));
      const request = { batch: batchOf(range(20), group), objective, optimizer };
      await engine.train(request);
      await engine.save(saved);
      await engine.train(request);
      const straight = await engine.snapshot();
      await using again = closing(await openLocal(name, { model: saved, version: 1, optimizer: 'resume' }));
      await again.engine.train(request);
      expect(await again.engine.snapshot()).toEqual(straight);
      await again.engine.load(saved, policyVersion(1), 'resume');
      expect(again.engine.version).toBe(1);
      await again.engine.train(request);
      expect(await again.engine.snapshot()).toEqual(straight);
    });

    test('a saved folder reads back as the weights of the snapshot, tokenizer carried along', async () => {
      const saved = join(directory, `${name}-weights`);
      await using opened = closing(await openLocal(name));
      await opened.engine.save(saved, 'weights');
      const checkpoint = await readCheckpoint(saved);
      expect(checkpoint.optimizer).toBeNull();
      expect([...checkpoint.files.keys()]).toEqual(['tokenizer.json']);
      expect(await opened.engine.snapshot()).toEqual({ version: 0, sha256: snapshotSha256(checkpoint) });
      expect(snapshotSha256(checkpoint)).toBe(snapshotSha256(livelyCheckpoint()));
    });

    test('a batch that is not a trie is refused with what is wrong', async () => {
      await using opened = closing(await openLocal(name));
      const batch = batchOf(range(4), [{ ids: [1], logprobs: [-1] }]);
      const broken = { ...batch, tokens: Int32Array.from(batch.tokens).fill(999) };
      const trained = opened.engine.train({ batch: broken, objective, optimizer });
      await expect(trained).rejects.toMatchObject({ boundary: 'engine', message: /token 0 is 999/ });
    });
  });
}

const truncations: readonly Truncation[] = [
  noTruncation,
  { topK: 3, topP: 1, minP: 0 },
  { topK: 0, topP: 0.5, minP: 0 },
  { topK: 0, topP: 1, minP: 0.5 },
  { topK: 20, topP: 0.8, minP: 0.1 },
];
const objective = { kind: 'clipped', clipLow: 0.2, clipHigh: 0.28, normalizer: 3 } as const;
const optimizer: OptimizerStep = { ...boldStep, gradientClip: Number.POSITIVE_INFINITY };

/** A group on its trie: a term for each sampled token, advantages alternating. */
function batchOf(
  prompt: readonly number[],
  group: readonly { readonly ids: readonly number[]; readonly logprobs: readonly number[] }[],
): TrieBatch {
  const { nodes, ...layout } = layoutTrajectories(group.map(({ ids }) => Int32Array.from([...prompt, ...ids])));
  const terms = group.flatMap(({ ids, logprobs }, i) =>
    ids.map((target, t) => ({
      node: nodes[i]?.[prompt.length + t - 1] as number,
      target,
      logprob: logprobs[t] as number,
      advantage: i % 2 === 0 ? 1 : -1,
    })),
  );
  terms.sort((a, b) => a.node - b.node);
  return {
    ...layout,
    termNode: Int32Array.from(terms, ({ node }) => node),
    termTarget: Int32Array.from(terms, ({ target }) => target),
    termBehaviorLogprob: Float32Array.from(terms, ({ logprob }) => logprob),
    termAPos: Float32Array.from(terms, ({ advantage }) => Math.max(advantage, 0)),
    termANeg: Float32Array.from(terms, ({ advantage }) => Math.min(advantage, 0)),
    termCount: Float32Array.from(terms, () => 1),
  };
}

/** A stream whose first event was taken, whole again. */
/** What a request has when the engine is paused under it. On a busy machine a tiny model may be done before. */
async function caught(engine: LocalEngine, prompt: readonly number[]): Promise<Completion> {
  for (;;) {
    const running = engine.generate(requestOf(prompt, { maxTokens: 200 }))[Symbol.asyncIterator]();
    const first = await running.next();
    await engine.pause();
    const got = await collect(resumedFrom(first, running));
    if (got.end.reason === 'paused') return got;
    await engine.resume();
  }
}

async function* resumedFrom(
  first: IteratorResult<GenerateEvent>,
  rest: AsyncIterator<GenerateEvent>,
): AsyncGenerator<GenerateEvent> {
  for (let next = first; next.done !== true; next = await rest.next()) yield next.value;
}

/** Two batches as one forest. */
function besides(a: TrieBatch, b: TrieBatch): TrieBatch {
  const ints = (x: Int32Array, y: Int32Array) => Int32Array.from([...x, ...y]);
  const floats = (x: Float32Array, y: Float32Array) => Float32Array.from([...x, ...y]);
  const [tokens, spans] = [a.tokens.length, a.spanParent.length];
  return {
    tokens: ints(a.tokens, b.tokens),
    spanStart: ints(
      a.spanStart.slice(0, -1),
      b.spanStart.map((at) => at + tokens),
    ),
    spanParent: ints(
      a.spanParent,
      b.spanParent.map((parent) => (parent < 0 ? -1 : parent + spans)),
    ),
    termNode: ints(
      a.termNode,
      b.termNode.map((node) => node + tokens),
    ),
    termTarget: ints(a.termTarget, b.termTarget),
    termBehaviorLogprob: floats(a.termBehaviorLogprob, b.termBehaviorLogprob),
    termAPos: floats(a.termAPos, b.termAPos),
    termANeg: floats(a.termANeg, b.termANeg),
    termCount: floats(a.termCount, b.termCount),
  };
}

function closing<T extends { close(): Promise<void> }>(engine: T) {
  return { engine, [Symbol.asyncDispose]: () => engine.close() };
}
