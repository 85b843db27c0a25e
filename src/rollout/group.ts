/** The attempts at one task, drawn together, and whether they can teach something. */
import { type GroupId, rolloutId } from '../core/ids.ts';
import { isGraded } from '../core/outcome.ts';
import { seedOf } from '../core/random.ts';
import type { Task } from '../core/task.ts';
import type { FinishedRollout, RolloutJob, RolloutSettings } from './rollout.ts';

export interface FinishedGroup {
  readonly id: GroupId;
  readonly task: Task;
  /** In the order of their indices. */
  readonly rollouts: readonly FinishedRollout[];
}

/**
 * `informative`: rewards differ. `equal`: all rewards are the same, so there is no signal. `failed`: infrastructure took
 * a rollout, and the rest would be a group of another size. `cancelled`: the run is stopping.
 */
export type GroupStanding = 'informative' | 'equal' | 'failed' | 'cancelled';

export function standingOf(group: FinishedGroup): GroupStanding {
  if (group.rollouts.some(({ outcome }) => outcome.status === 'cancelled')) return 'cancelled';
  if (!group.rollouts.every(({ outcome }) => isGraded(outcome))) return 'failed';
  return group.rollouts.some(({ reward }) => reward !== group.rollouts[0]?.reward) ? 'informative' : 'equal';
}

/** The jobs of a group's rollouts. A rollout's seed is a function of the run's seed and its own id. */
export function groupJobs(
  group: GroupId,
  task: Task,
  size: number,
  common: { readonly runSeed: string | number; readonly settings: RolloutSettings; readonly signal: AbortSignal },
): RolloutJob[] {
  return Array.from({ length: size }, (_, index) => {
    const id = rolloutId(group, index);
    return { id, task, seed: seedOf(common.runSeed, id), settings: common.settings, signal: common.signal };
  });
}
