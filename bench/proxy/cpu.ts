/**
 * Processor time a request, user and system and of all threads, of our proxy and of the naive relay: sessions that begin
 * with 2 K and 32 K ids, replies of 256, a token an event, as event streams and as JSON, 1 and 16 sessions at a time.
 *
 * A session is one first call, whose whole history is rendered and tokenized, and seven that go on; they are given apart and
 * as one. The two targets work by turns, in an order that changes from round to round.
 */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { runSession, type Work } from './agents.ts';
import { figureOf } from './figures.ts';
import type { Figure, Setting } from './measure.ts';
import { startTarget, type Target, type TargetKind } from './processes.ts';

/** Of a token, as a small model on a GPU has it; without it tokens come in lumps that no engine makes. */
const pace = 1;
const turns = 8;
const targets = { 2048: 'at most 1.5', 32768: 'at most 0.6' } as const;

interface Sample {
  readonly first: number;
  readonly later: number;
  readonly whole: number;
}

export async function measureCpu({ folder, upstream, rounds, flags }: Setting): Promise<Figure[]> {
  const where = await mkdtemp(join(folder, 'cpu-'));
  using ours = await startTarget('ours', where, pace, upstream, flags);
  using naive = await startTarget('naive', where, pace, upstream);
  const kinds: readonly (readonly [TargetKind, Target])[] = [
    ['ours', ours],
    ['naive', naive],
  ];
  const figures: Figure[] = [];
  for (const ids of [2048, 32768] as const) {
    for (const stream of [true, false]) {
      for (const width of [1, 16]) {
        const work: Work = { ids, turns, stream, pace };
        const samples: Record<TargetKind, Sample[]> = { ours: [], naive: [] };
        // The first round warms both up.
        for (let round = 0; round <= rounds; round++) {
          for (const [kind, target] of round % 2 === 0 ? kinds : kinds.toReversed()) {
            const sample = await sampleOf(target, work, width);
            if (round > 0) samples[kind].push(sample);
          }
        }
        const name = `${ids / 1024} K ids, ${stream ? 'events' : 'JSON'}, ${width} at a time`;
        for (const part of ['whole', 'first', 'later'] as const) {
          const of = part === 'whole' ? 'a session' : part === 'first' ? 'first calls' : 'later calls';
          const [a, b] = [samples.ours.map((each) => each[part]), samples.naive.map((each) => each[part])];
          figures.push(figureOf(`${name}: ${of}, ours, ms a call`, a), figureOf(`${name}: ${of}, naive, ms a call`, b));
          const ratios = a.map((value, i) => value / (b[i] as number));
          figures.push(figureOf(`${name}: ${of}, ratio`, ratios, part === 'first' ? undefined : targets[ids]));
        }
      }
    }
  }
  return figures;
}

/** All sessions make their first calls, then their later ones, so that the two can be told apart. */
async function sampleOf(target: Target, work: Work, width: number): Promise<Sample> {
  const addresses = await target.open(width);
  const before = (await target.usage()).cpuMs;
  let firsts = 0;
  const gate = Promise.withResolvers<number>();
  const sessions = addresses.map((address) =>
    runSession(address, work, async (turn) => {
      if (turn > 0) return;
      if (++firsts === width) gate.resolve((await target.usage()).cpuMs);
      await gate.promise;
    }),
  );
  const calls = (await Promise.all(sessions)).flat();
  if (calls.some(({ ok }) => !ok)) throw new Error('a call failed');
  const [between, after] = [await gate.promise, (await target.usage()).cpuMs];
  await target.closeSessions();
  return {
    first: (between - before) / width,
    later: (after - between) / (calls.length - width),
    whole: (after - before) / calls.length,
  };
}
