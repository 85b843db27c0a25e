/**
 * The same loss without sharing, one root a sample: what the trie is compared with, in results and in time.
 *
 * `requests`: every turn is a sample of its own, prompt and completion; it has the loss of `lossBatch(..., 'once')`.
 * `merged`: every trajectory of a rollout is one sample; it has the loss of `lossBatch(..., 'per-branch')`.
 *
 * Not for training: the trie gives the same gradient for less.
 */
import type { TrieBatch } from '../engine/engine.ts';
import { pathOf } from '../trajectory/turns.ts';
import type { LearnedRollout } from './loss-terms.ts';
import { type SampledTurn, trajectoriesOf } from './trajectories.ts';
import { type PlacedTerm, packTerms } from './trie-batch.ts';

export type FlatSamples = 'requests' | 'merged';

export function flatBatch(rollouts: readonly LearnedRollout[], samples: FlatSamples): TrieBatch {
  const paths: Int32Array[] = [];
  const terms: PlacedTerm[] = [];
  let start = 0;
  for (const { turns, advantage } of rollouts) {
    const flat =
      samples === 'merged'
        ? trajectoriesOf(turns).ids.map((path) => ({ path, turns }))
        : turns.map((turn) => ({ path: pathOf(turn), turns: [turn] }));
    for (const sample of flat) {
      terms.push(...termsOf(sample.path, sample.turns, advantage, start));
      paths.push(sample.path);
      start += sample.path.length;
    }
  }
  const spanStart = new Int32Array(paths.length + 1);
  const tokens = new Int32Array(start);
  paths.forEach((path, span) => {
    const from = spanStart[span] ?? 0;
    tokens.set(path, from);
    spanStart[span + 1] = from + path.length;
  });
  return packTerms({ tokens, spanStart, spanParent: new Int32Array(paths.length).fill(-1) }, terms).batch;
}

/** Terms for what the turns sampled along `path`; a token that several of them sampled is divided among them. */
function termsOf(path: Int32Array, turns: readonly SampledTurn[], advantage: number, start: number): PlacedTerm[] {
  const sampled = turns.flatMap((turn) => {
    if (turn.fidelity === 'text') return [];
    const first = turn.prompt.length;
    const end = commonLength(path, turn);
    return Array.from({ length: Math.max(0, end - first) }, (_, i) => ({
      at: first + i,
      behaviorLogprob: turn.behaviorLogprobs[i] ?? Number.NaN,
    }));
  });
  const times = new Map<number, number>();
  for (const { at } of sampled) times.set(at, (times.get(at) ?? 0) + 1);
  return sampled.map(({ at, behaviorLogprob }) => {
    const count = 1 / (times.get(at) ?? 1);
    return {
      node: start + at - 1,
      targetNode: start + at,
      target: path[at] ?? -1,
      behaviorLogprob,
      aPos: count * Math.max(advantage, 0),
      aNeg: count * Math.min(advantage, 0),
      count,
    };
  });
}

/** Tokens that the path and the turn's prompt and completion have in common from the start. */
function commonLength(path: Int32Array, turn: SampledTurn): number {
  const own = pathOf(turn);
  const differs = own.findIndex((id, i) => id !== path[i]);
  return differs < 0 ? own.length : differs;
}
