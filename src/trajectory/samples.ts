/**
 * What trains, as views of a rollout's turns: one sample a request, or one a trajectory.
 *
 * Not loss terms and not advantages (learn): a mask here says what a policy sampled and this sample answers for.
 *
 * Invariants:
 * 1. Every sampled token is in the mask of exactly one sample of a rollout.
 * 2. A merged sample's ids are one root-to-leaf path; no merged sample is a prefix of another.
 */
import type { RolloutId } from '../core/ids.ts';
import { pathOf, type RecordedTurn } from './turns.ts';

/** All arrays are aligned with `ids`; where the mask is 0, logprobs are 0 and versions -1. */
export interface TrainingSample {
  readonly rollout: RolloutId;
  readonly ids: Int32Array;
  /** 1 on the tokens that are learned. */
  readonly lossMask: Uint8Array;
  readonly behaviorLogprobs: Float32Array;
  readonly versions: Int32Array;
  /** Indexes of the turns whose completions are in the mask. */
  readonly turns: readonly number[];
}

/** One a turn: prompt and completion, the completion learned. */
export function requestSamples(turns: readonly RecordedTurn[]): TrainingSample[] {
  return turns.map((turn) => sample(turn, [turn]));
}

/**
 * One a trajectory: from the root to a turn that no other turn continues whole. A completion that several trajectories
 * share is in the first one's mask.
 */
export function mergedSamples(turns: readonly RecordedTurn[]): TrainingSample[] {
  const byIndex = new Map(turns.map((turn): [number, RecordedTurn] => [turn.index, turn]));
  const continued = new Set<number>();
  for (const turn of turns) {
    const parent = turn.parent === null ? undefined : byIndex.get(turn.parent);
    if (parent !== undefined && turn.reused === pathLength(parent)) continued.add(parent.index);
  }
  const learned = new Set<number>();
  return turns
    .filter((turn) => !continued.has(turn.index))
    .map((leaf) => {
      const spans = ancestry(leaf, byIndex).filter((turn) => !learned.has(turn.index));
      for (const turn of spans) learned.add(turn.index);
      return sample(leaf, spans);
    });
}

/** The leaf and the earlier turns whose whole completions lie on its path, first one first. */
function ancestry(leaf: RecordedTurn, byIndex: ReadonlyMap<number, RecordedTurn>): RecordedTurn[] {
  const line = [leaf];
  let reused = leaf.reused;
  for (let parent = leaf.parent; parent !== null; ) {
    const turn = byIndex.get(parent);
    if (turn === undefined) break;
    if (pathLength(turn) <= reused) line.unshift(turn);
    reused = Math.min(reused, turn.reused);
    parent = turn.parent;
  }
  return line;
}

const pathLength = (turn: RecordedTurn): number => turn.prompt.length + turn.completion.length;

function sample(leaf: RecordedTurn, spans: readonly RecordedTurn[]): TrainingSample {
  const ids = pathOf(leaf);
  const lossMask = new Uint8Array(ids.length);
  const behaviorLogprobs = new Float32Array(ids.length);
  const versions = new Int32Array(ids.length).fill(-1);
  for (const turn of spans) {
    const start = turn.prompt.length;
    lossMask.fill(1, start, start + turn.completion.length);
    behaviorLogprobs.set(turn.behaviorLogprobs, start);
    versions.set(turn.versions, start);
  }
  return { rollout: leaf.rollout, ids, lossMask, behaviorLogprobs, versions, turns: spans.map((turn) => turn.index) };
}
