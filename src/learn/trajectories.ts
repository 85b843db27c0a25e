/**
 * The token paths of one rollout. Turns mostly extend each other (ids in, ids out), so a rollout has few trajectories;
 * compaction, sub-agents and retries fork more.
 *
 * Invariants:
 * 1. No trajectory is a prefix of another of the same rollout: each is one root-to-leaf path.
 * 2. Every turn's prompt + completion is a prefix of the trajectory that `ofTurn` names.
 */
import type { Turn } from '../core/turn.ts';
import { pathOf } from '../trajectory/turns.ts';

/** What learning needs of a turn; alignment as in `Turn`. */
export type SampledTurn = Pick<
  Turn,
  'prompt' | 'completion' | 'behaviorLogprobs' | 'entropies' | 'versions' | 'fidelity'
>;

export interface RolloutTrajectories {
  /** In order of the first turn that started each. */
  readonly ids: readonly Int32Array[];
  /** [turns]: index into `ids`. */
  readonly ofTurn: readonly number[];
}

export function trajectoriesOf(turns: readonly Pick<Turn, 'prompt' | 'completion'>[]): RolloutTrajectories {
  const ids: Int32Array[] = [];
  const ofTurn = turns.map((turn) => {
    const path = pathOf(turn);
    const known = ids.findIndex((other) => startsWith(path, other) || startsWith(other, path));
    if (known < 0) return ids.push(path) - 1;
    if (path.length > (ids[known]?.length ?? 0)) ids[known] = path;
    return known;
  });
  return { ids, ofTurn };
}

function startsWith(path: Int32Array, prefix: Int32Array): boolean {
  if (prefix.length > path.length) return false;
  for (let i = 0; i < prefix.length; i++) if (path[i] !== prefix[i]) return false;
  return true;
}
