/** Every prefix break of a record, and what was done about it. */
import type { RolloutId } from '../../core/ids.ts';
import {
  type BreakAnswer,
  type BreakFacts,
  breakTable,
  type CauseFacts,
  causeFacts,
  causeTable,
} from '../../report/breaks-table.ts';
import { whole } from '../../report/format.ts';
import type { TurnRecord } from '../../trajectory/records.ts';
import type { RunIndex } from '../../trajectory/run-index.ts';

/** In the order of the record. */
export function breaksOf(index: RunIndex, rollouts: readonly RolloutId[]): BreakFacts[] {
  return rollouts.flatMap((rollout) =>
    index.turns(rollout).flatMap((turn): BreakFacts[] => {
      if (turn.break === null) return [];
      return [
        {
          rollout,
          turn: turn.index,
          cause: turn.break.cause,
          tokensLost: turn.break.tokensLost,
          reusedTokens: turn.reused,
          retokenizedSampledTokens: turn.retokenizedSampledTokens,
          done: answerTo(turn, turn.break.tokensLost),
        },
      ];
    }),
  );
}

function answerTo(turn: TurnRecord, tokensLost: number): BreakAnswer {
  if (turn.fidelity === 'text') return 'none';
  if (turn.retokenizedSampledTokens > 0) return 'repaired';
  if (tokensLost === 0) return 'exact';
  return turn.messagesReused > 0 ? 'forked' : 'rendered';
}

export function breaksText(breaks: readonly BreakFacts[], turns: number): string {
  if (breaks.length === 0) return `no breaks in ${whole(turns)} turns: each continues the one before it`;
  const lost = breaks.reduce((sum, one) => sum + one.tokensLost, 0);
  return [
    `${whole(breaks.length)} breaks in ${whole(turns)} turns; ${whole(lost)} tokens lost`,
    '',
    causeTable(causeFacts(breaks)),
    breakTable(breaks).trimEnd(),
  ].join('\n');
}

export function breaksJson(breaks: readonly BreakFacts[]): {
  readonly causes: readonly CauseFacts[];
  readonly breaks: readonly BreakFacts[];
} {
  return { causes: causeFacts(breaks), breaks };
}
