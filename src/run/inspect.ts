/** `espalier inspect`: what a run recorded, from its store alone. */
import { EspalierError } from '../core/errors.ts';
import { parseRolloutId, type RolloutId } from '../core/ids.ts';
import { solved } from '../core/verdict.ts';
import { outcomeTable, type RolloutFacts, rolloutTable, type TurnFacts, turnTable } from '../report/table.ts';
import { visible } from '../report/text.ts';
import { storeDirectory } from '../trajectory/journal.ts';
import { type RunIndex, readRun } from '../trajectory/run-index.ts';
import { messagesOf } from '../trajectory/transcript.ts';
import { type RecordedTurn, turnsOf } from '../trajectory/turns.ts';
import { RunDirectory } from './directory.ts';

export interface InspectOptions {
  readonly rollout?: string;
  readonly json: boolean;
}

export async function inspectRun(path: string, options: InspectOptions): Promise<string> {
  const directory = RunDirectory.open(path);
  const index = await readRun(storeDirectory(directory.path));
  if (options.rollout === undefined) return options.json ? JSON.stringify(runFacts(index)) : runText(index);
  const rollout = parseRolloutId(options.rollout);
  const turns = turnsOf(index.turns(rollout));
  if (turns.length === 0) {
    const some = index.rollouts()[0];
    const way = some === undefined ? 'the run has none yet' : `ids look like ${some}`;
    throw new EspalierError('config', `--rollout ${options.rollout}: no such rollout in ${path}; ${way}`);
  }
  return options.json ? JSON.stringify(rolloutJson(index, rollout, turns)) : rolloutText(index, rollout, turns);
}

/** Figures of the whole record. */
function runFacts(index: RunIndex) {
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

function runText(index: RunIndex): string {
  const facts = runFacts(index);
  const rollouts = index.rollouts().map((rollout) => factsOf(index, rollout));
  const breaks = Object.entries(facts.breaks).map(([cause, count]) => `${cause} ${count}`);
  return [
    outcomeTable(rollouts),
    '',
    `${facts.turns} turns in ${facts.sessions} sessions: ${facts.exact} exact, ${facts.observed} observed, ${facts.text} text`,
    `${facts.tokens} sampled tokens, ${facts.retokenizedSampledTokens} of them tokenized again`,
    `breaks: ${breaks.length === 0 ? 'none' : breaks.join(', ')}`,
    `${facts.batches} batches`,
    '',
    rolloutTable(rollouts.slice(-20)),
  ].join('\n');
}

function factsOf(index: RunIndex, rollout: RolloutId): RolloutFacts {
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
    reward: judged?.reward ?? null,
  };
}

function turnFacts(index: RunIndex, rollout: RolloutId, turns: readonly RecordedTurn[]): TurnFacts[] {
  const replies = messagesOf(index, rollout).flatMap((message) => (message.role === 'assistant' ? [message] : []));
  return turns.map((turn, at) => ({
    index: turn.index,
    promptTokens: turn.prompt.length,
    reusedTokens: turn.reused,
    sampledTokens: turn.completion.length,
    toolCalls: replies[at]?.toolCalls.map(({ name }) => name) ?? [],
    finishReason: turn.finishReason,
    fidelity: turn.fidelity,
    versions: [turn.versions[0] ?? 0, turn.versions.at(-1) ?? 0],
    meanLogprob: mean(turn.behaviorLogprobs),
  }));
}

function mean(values: Float32Array): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function rolloutText(index: RunIndex, rollout: RolloutId, turns: readonly RecordedTurn[]): string {
  const messages = messagesOf(index, rollout).map((message) => {
    const calls = message.role === 'assistant' ? message.toolCalls.map((call) => `${call.name} ${call.arguments}`) : [];
    return [
      `[${message.role}]`,
      ...(message.content === '' ? [] : [visible(message.content)]),
      ...calls.map(visible),
    ].join('\n');
  });
  const judged = index.verdicts.get(rollout);
  const verdict = judged === undefined ? 'not graded' : solved(judged.verdict) ? 'solved' : 'not solved';
  return [
    turnTable(turnFacts(index, rollout, turns)),
    '',
    ...messages,
    '',
    `${verdict}, reward ${judged?.reward ?? '-'}`,
  ].join('\n');
}

function rolloutJson(index: RunIndex, rollout: RolloutId, turns: readonly RecordedTurn[]) {
  return {
    rollout,
    outcome: index.outcomes.get(rollout)?.outcome ?? null,
    verdict: index.verdicts.get(rollout)?.verdict ?? null,
    reward: index.verdicts.get(rollout)?.reward ?? null,
    messages: messagesOf(index, rollout),
    turns: turns.map((turn) => ({
      index: turn.index,
      prompt: [...turn.prompt],
      completion: [...turn.completion],
      behaviorLogprobs: [...turn.behaviorLogprobs],
      versions: [...turn.versions],
      finishReason: turn.finishReason,
      fidelity: turn.fidelity,
    })),
  };
}
