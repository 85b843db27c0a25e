/** What is told of a rollout beside its tokens. */
import { type GroupId, parseRolloutId, type RolloutId } from '../../core/ids.ts';
import type { Outcome } from '../../core/outcome.ts';
import type { RolloutRow } from '../../trajectory/record-index/queries.ts';

/** null where it is not known: a rollout that is under way, not graded, or in no batch. */
export interface RolloutNotes {
  readonly rollout: RolloutId;
  readonly group: GroupId | null;
  readonly task: string | null;
  readonly outcome: Outcome['status'] | null;
  readonly solved: boolean | null;
  readonly reward: number | null;
}

export function notesOf({ rollout, group, task, outcome, solved, reward }: RolloutRow): RolloutNotes {
  return {
    rollout: parseRolloutId(rollout),
    group: group as GroupId | null,
    task,
    outcome: outcome?.status ?? null,
    solved,
    reward,
  };
}
