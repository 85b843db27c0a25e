/** What is told of a rollout beside its tokens. */
import type { GroupId, RolloutId } from '../../core/ids.ts';
import type { Outcome } from '../../core/outcome.ts';
import { solved } from '../../core/verdict.ts';
import type { RunIndex } from '../../trajectory/run-index.ts';
import { rewardOf } from '../inspect/run-facts.ts';

/** null where it is not known: a rollout that is under way, not graded, or in no batch. */
export interface RolloutNotes {
  readonly rollout: RolloutId;
  readonly group: GroupId | null;
  readonly task: string | null;
  readonly outcome: Outcome['status'] | null;
  readonly solved: boolean | null;
  readonly reward: number | null;
}

/** Groups are those of the recorded batches. */
export function notesBook(index: RunIndex): (rollout: RolloutId) => RolloutNotes {
  const groups = new Map<RolloutId, GroupId>();
  for (const manifest of index.manifests) {
    for (const { group, rollouts } of manifest.groups) for (const rollout of rollouts) groups.set(rollout, group);
  }
  return (rollout) => {
    const ended = index.outcomes.get(rollout);
    const judged = index.verdicts.get(rollout);
    return {
      rollout,
      group: groups.get(rollout) ?? null,
      task: ended?.task ?? null,
      outcome: ended?.outcome.status ?? null,
      solved: judged === undefined ? null : solved(judged.verdict),
      reward: rewardOf(index, rollout),
    };
  };
}
