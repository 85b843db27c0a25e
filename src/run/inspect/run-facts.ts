/** Figures of a whole record, and its rollouts as a table. */
import type { RolloutId } from '../../core/ids.ts';
import { OutcomeSums, outcomeTable, type RolloutFacts, rolloutTable } from '../../report/table.ts';
import type { RecordFacts } from '../../trajectory/record-index/queries.ts';
import type { RecordIndex } from '../../trajectory/record-index.ts';
import type { RunIndex } from '../../trajectory/run-index.ts';

const listedRollouts = 20;

export async function runText(index: RecordIndex, facts: RecordFacts): Promise<string> {
  const sums = new OutcomeSums();
  let lastOnes: RolloutFacts[] = [];
  for await (const row of index.rollouts(null)) {
    const rollout = { ...row, task: row.task ?? '' };
    sums.add(rollout);
    lastOnes = [...lastOnes, rollout].slice(-listedRollouts);
  }
  const breaks = Object.entries(facts.breaks).map(([cause, count]) => `${cause} ${count}`);
  const removed = [
    ...(facts.erased > 0 ? [`${facts.erased} records erased`] : []),
    ...(facts.retention > 0 ? [`${facts.retention} records removed by retention`] : []),
  ];
  return [
    outcomeTable(sums.rows()),
    '',
    `${facts.turns} turns in ${facts.sessions} sessions: ${facts.exact} exact, ${facts.observed} observed, ${facts.text} text`,
    `${facts.tokens} sampled tokens, ${facts.retokenizedSampledTokens} of them tokenized again`,
    `breaks: ${breaks.length === 0 ? 'none' : breaks.join(', ')}`,
    `${facts.batches} batches`,
    ...removed,
    '',
    rolloutTable(lastOnes),
  ].join('\n');
}

/** From its verdict, or as whoever launched the agent told it. */
export function rewardOf(index: RunIndex, rollout: RolloutId): number | null {
  return index.verdicts.get(rollout)?.reward ?? index.outcomes.get(rollout)?.reward ?? null;
}
