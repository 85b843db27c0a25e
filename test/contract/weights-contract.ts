/**
 * The part of the contract that is about weights: they can be replaced in the middle of a turn, and every token's
 * log-probability is that of the weights that its version names.
 *
 * What is compared with is `scoreIds` of the folders, by our own kernels.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCheckpoint, writeCheckpoint } from '../../src/engine/checkpoint.ts';
import { scoreIds } from '../../src/engine/score-ids.ts';
import { type SampledCompletion, sampleCompletion } from '../../src/proxy/sampling.ts';
import { ask, collect, requestOf } from './engine-collect.ts';
import type { Kind, WithWeights } from './engine-kinds.ts';
import { tinyShape } from './engine-models.ts';

const prompt = Array.from({ length: 40 }, (_, i) => (i * 7) % tinyShape.vocabSize);

export function replacesWeights(kinds: readonly Kind[]): void {
  for (const { name, skip, tolerance, model, openWithWeights } of kinds) {
    if (openWithWeights === null) continue;
    describe.skipIf(skip !== null)(`${name} replaces its weights${skip === null ? '' : ` (skipped: ${skip})`}`, () => {
      let engine: WithWeights;
      let directory = '';
      let other = '';
      beforeAll(async () => {
        directory = await mkdtemp(join(tmpdir(), 'espalier-weights-'));
        other = join(directory, 'other');
        await writeFlatter(model(), other);
        engine = await openWithWeights();
      });
      afterAll(async () => {
        // A server of someone else's keeps the weights that it was started with.
        await engine?.load(model(), 0);
        await engine?.close();
        await rm(directory, { recursive: true, force: true });
      });
      const expectScored = async (sampled: Pick<SampledCompletion, 'ids' | 'logprobs' | 'versions'>) => {
        const ids = Int32Array.from([...prompt, ...sampled.ids]);
        const folders = new Map(
          [...new Set(sampled.versions)].map((version) => [version, version % 2 === 0 ? model() : other]),
        );
        const scores = new Map<number, Float32Array>();
        for (const [version, folder] of folders) scores.set(version, await scoreIds(folder, ids));
        const gaps = [...sampled.logprobs].map((logprob, i) => {
          const scored = scores.get(sampled.versions[i] as number) as Float32Array;
          return Math.abs(logprob - (scored[prompt.length - 1 + i] as number));
        });
        expect(Math.max(...gaps)).toBeLessThanOrEqual(tolerance);
        if (tolerance > 0) console.log(`${name}: ${gaps.length} log-probabilities agree within ${Math.max(...gaps)}`);
      };

      test('what it reports is what `score` of its folder computes, at any temperature', async () => {
        for (const temperature of [1, 0]) {
          const { ids, logprobs, versions } = await ask(engine, prompt, { temperature, maxTokens: 24 });
          expect(versions).toEqual(ids.map(() => 0));
          await expectScored({
            ids: Int32Array.from(ids),
            logprobs: Float32Array.from(logprobs),
            versions: Int32Array.from(versions),
          });
        }
      });

      test('a pause hands back what was sampled; later requests wait for its end', async () => {
        const running = requestOf(prompt, { maxTokens: 180 });
        const events = engine.generate(running)[Symbol.asyncIterator]();
        const first = await events.next();
        await engine.pause();
        const rest = await collect({ [Symbol.asyncIterator]: () => events });
        expect(first.value).toMatchObject({ type: 'tokens' });
        expect(rest.end).toEqual({ type: 'end', reason: 'paused' });
        expect(rest.ids.length).toBeLessThan(179);
        let late: string | null = null;
        const waiting = ask(engine, prompt).then(({ end }) => {
          late = end.reason;
        });
        await new Promise((later) => setTimeout(later, 50));
        expect(late).toBeNull();
        await engine.resume();
        await waiting;
        expect(late).toBe('length');
      });

      test('weights that change in mid-turn: one completion, each token under the version that it names', async () => {
        const completing = Promise.withResolvers<void>();
        const turn = sampleCompletion(engine, {
          ...{ prompt: Int32Array.from(prompt), maxTokens: 150, temperature: 1, stopIds: [], seed: 11n },
          signal: new AbortController().signal,
          onTokens: () => {
            completing.resolve();
            return null;
          },
        });
        await completing.promise;
        await engine.pause();
        await engine.load(other, 1);
        await engine.resume();
        const sampled = await turn;
        expect(sampled.ids.length).toBe(150);
        expect([sampled.versions[0], sampled.versions[149], engine.version]).toEqual([0, 1, 1]);
        await expectScored(sampled);
        const after = await ask(engine, prompt, { maxTokens: 5 });
        expect(after.versions).toEqual([1, 1, 1, 1, 1]);
      });

      test('a folder without weights is refused, and the engine samples on as before', async () => {
        await expect(engine.load(join(directory, 'nowhere'), 9)).rejects.toMatchObject({ boundary: 'checkpoint' });
        const { versions, end } = await ask(engine, prompt, { maxTokens: 5 });
        expect([versions[0], end.reason]).toEqual([engine.version, 'length']);
      });
    });
  }
}

/** The same model, less sure of everything: its last norm is scaled. */
async function writeFlatter(from: string, to: string): Promise<void> {
  const checkpoint = await readCheckpoint(from);
  const { names, data } = checkpoint.weights;
  const flatter = data.map((values, i) =>
    names[i] === 'model.norm.weight' ? values.map((value) => value * 0.8) : values,
  );
  await writeCheckpoint(to, { ...checkpoint, weights: { names, data: flatter } });
}
