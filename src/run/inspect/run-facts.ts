/** Figures of a whole record, and its rollouts as a table. */
import type { RolloutId } from '../../core/ids.ts';
import { solved } from '../../core/verdict.ts';
import { outcomeTable, type RolloutFacts, rolloutTable } from '../../report/table.ts';
import type { RunIndex } from '../../trajectory/run-index.ts';

const listedRollouts = 20;

export function runFacts(index: RunIndex) {
  const facts = {
    turns: 0,
    exact: 0,
    observed: 0,
    text: 0,
    sessions: index.sessions.size,
    tokens: 0,
    retokenizedSampledTokens: 0,
    breaks: {} as Record<string, number>,
    outcomes: {} as Record<string, number>,
    batches: index.manifests.length,
  };
  for (const rollout of index.rollouts()) {
    for (const turn of index.turns(rollout)) {
      facts.turns++;
      facts[turn.fidelity]++;
      facts.tokens += turn.completion.length;
      facts.retokenizedSampledTokens += turn.retokenizedSampledTokens;
      if (turn.break !== null) facts.breaks[turn.break.cause] = (facts.breaks[turn.break.cause] ?? 0) + 1;
    }
  }
  for (const { outcome } of index.outcomes.values()) {
    facts.outcomes[outcome.status] = (facts.outcomes[outcome.status] ?? 0) + 1;
  }
  return facts;
}

export function runText(index: RunIndex): string {
  const facts = runFacts(index);
  const rollouts = index.rollouts().map((rollout) => rolloutFacts(index, rollout));
  const breaks = Object.entries(facts.breaks).map(([cause, count]) => `${cause} ${count}`);
  return [
    outcomeTable(rollouts),
    '',
    `${facts.turns} turns in ${facts.sessions} sessions: ${facts.exact} exact, ${facts.observed} observed, ${facts.text} text`,
    `${facts.tokens} sampled tokens, ${facts.retokenizedSampledTokens} of them tokenized again`,
    `breaks: ${breaks.length === 0 ? 'none' : breaks.join(', ')}`,
    `${facts.batches} batches`,
    '',
    rolloutTable(rollouts.slice(-listedRollouts)),
  ].join('\n');
}

function rolloutFacts(index: RunIndex, rollout: RolloutId): RolloutFacts {
  const turns = index.turns(rollout);
  const last = turns.at(-1);
  const ended = index.outcomes.get(rollout);
  const judged = index.verdicts.get(rollout);
  return {
    rollout,
    task: ended?.task ?? '',
    turns: turns.length,
    toolCalls: turns.reduce((sum, turn) => sum + turn.toolCallCount, 0),
    promptTokens: last === undefined ? 0 : last.reused + last.tail.length,
    sampledTokens: turns.reduce((sum, turn) => sum + turn.completion.length, 0),
    outcome: ended?.outcome ?? null,
    solved: judged === undefined ? null : solved(judged.verdict),
    reward: rewardOf(index, rollout),
  };
}

/** From its verdict, or as whoever launched the agent told it. */
export function rewardOf(index: RunIndex, rollout: RolloutId): number | null {
  return index.verdicts.get(rollout)?.reward ?? index.outcomes.get(rollout)?.reward ?? null;
}
