/**
 * What the run knows of its rollouts, in the words of the rooms that ask: a view of the journal and the way into it.
 *
 * Invariant: a rollout is finished when its outcome is durable; its verdict is written before.
 */
import { EspalierError } from '../core/errors.ts';
import type { RolloutId } from '../core/ids.ts';
import type { Turn } from '../core/turn.ts';
import type { Verdict } from '../core/verdict.ts';
import type { FinishedRollout } from '../rollout/rollout.ts';
import type { Journal } from '../trajectory/journal.ts';
import type { RunIndex } from '../trajectory/run-index.ts';
import { turnsOf } from '../trajectory/turns.ts';
import type { RecordedRollouts } from './batch.ts';

/** Read-only: of a journal, or of a store that nobody writes. */
export class RecordView implements RecordedRollouts {
  readonly index: RunIndex;

  constructor(index: RunIndex) {
    this.index = index;
  }

  /** Throws EspalierError('store') when the rollout was removed. */
  turns(rollout: RolloutId): readonly Turn[] {
    const records = this.index.turns(rollout);
    if (records.length === 0 && this.index.removedCount > 0 && !this.index.outcomes.has(rollout)) {
      throw new EspalierError(
        'store',
        `${rollout} is no longer in the record, as it was erased or outlived its retention: what learned from it cannot ` +
          'be trained again',
      );
    }
    return turnsOf(records);
  }

  verdict(rollout: RolloutId): Verdict | null {
    return this.index.verdicts.get(rollout)?.verdict ?? null;
  }

  finished(rollout: RolloutId): FinishedRollout | undefined {
    const ended = this.index.outcomes.get(rollout);
    if (ended === undefined) return undefined;
    const judged = this.index.verdicts.get(rollout);
    const { task, outcome, facts, attempts, seconds } = ended;
    return {
      id: rollout,
      task,
      outcome,
      facts,
      verdict: judged?.verdict ?? null,
      reward: judged?.reward ?? null,
      attempts,
      seconds,
    };
  }
}

/** Writes a finished rollout down; resolves when it is durable. */
export async function recordRollout(journal: Journal, rollout: FinishedRollout): Promise<void> {
  const { id, task, outcome, facts, verdict, reward, attempts, seconds } = rollout;
  const written: Promise<void>[] = [];
  if (verdict !== null && reward !== null) {
    written.push(journal.append({ type: 'verdict', rollout: id, verdict, reward }));
  }
  written.push(journal.append({ type: 'outcome', rollout: id, task, outcome, facts, attempts, seconds }));
  await Promise.all(written);
}
