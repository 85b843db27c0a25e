/** Every prefix break of a record, and what was done about it. */
import {
  type BreakAnswer,
  type BreakFacts,
  breakTable,
  type CauseFacts,
  causeFacts,
  causeTable,
} from '../../report/breaks-table.ts';
import { whole } from '../../report/format.ts';
import type { BreakRow } from '../../trajectory/record-index/queries.ts';
import type { RecordIndex } from '../../trajectory/record-index.ts';

/** In the order of the record. */
export async function breaksOf(index: RecordIndex, under: string | null): Promise<BreakFacts[]> {
  const breaks: BreakFacts[] = [];
  for await (const row of index.breaks(under)) {
    const { rollout, turn, cause, tokensLost, reusedTokens, retokenizedSampledTokens } = row;
    breaks.push({ rollout, turn, cause, tokensLost, reusedTokens, retokenizedSampledTokens, done: answerTo(row) });
  }
  return breaks;
}

function answerTo({ fidelity, retokenizedSampledTokens, tokensLost, messagesReused }: BreakRow): BreakAnswer {
  if (fidelity === 'text') return 'none';
  if (retokenizedSampledTokens > 0) return 'repaired';
  if (tokensLost === 0) return 'exact';
  return messagesReused > 0 ? 'forked' : 'rendered';
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
