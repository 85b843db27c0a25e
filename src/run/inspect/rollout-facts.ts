/** One rollout as `inspect --rollout` shows it: its turns as a table, then every branch of its conversations. */
import type { RolloutId } from '../../core/ids.ts';
import type { Message } from '../../core/message.ts';
import { solved } from '../../core/verdict.ts';
import { type TurnFacts, turnTable } from '../../report/table.ts';
import { visible } from '../../report/text.ts';
import type { RunIndex } from '../../trajectory/run-index.ts';
import { type Branch, branchesOf, messagesOf, replyOf } from '../../trajectory/transcript.ts';
import type { RecordedTurn } from '../../trajectory/turns.ts';
import { rewardOf } from './run-facts.ts';

export function rolloutText(index: RunIndex, rollout: RolloutId, turns: readonly RecordedTurn[]): string {
  const branches = branchesOf(index, rollout);
  const judged = index.verdicts.get(rollout);
  const verdict = judged === undefined ? 'not graded' : solved(judged.verdict) ? 'solved' : 'not solved';
  return [
    turnTable(turnFacts(index, rollout, turns)),
    '',
    ...branches.flatMap((branch, at) => [
      ...(branches.length > 1 ? [branchHeading(index, rollout, branch, at)] : []),
      ...branch.messages.filter(({ shared }) => !shared).map(({ message }) => messageText(message)),
      '',
    ]),
    `${verdict}, reward ${rewardOf(index, rollout) ?? '-'}`,
  ].join('\n');
}

export function rolloutJson(index: RunIndex, rollout: RolloutId, turns: readonly RecordedTurn[]) {
  return {
    rollout,
    outcome: index.outcomes.get(rollout)?.outcome ?? null,
    verdict: index.verdicts.get(rollout)?.verdict ?? null,
    reward: rewardOf(index, rollout),
    messages: messagesOf(index, rollout),
    branches: branchesOf(index, rollout),
    turns: turns.map((turn) => ({
      index: turn.index,
      parent: turn.parent,
      reused: turn.reused,
      prompt: [...turn.prompt],
      completion: [...turn.completion],
      behaviorLogprobs: [...turn.behaviorLogprobs],
      versions: [...turn.versions],
      finishReason: turn.finishReason,
      fidelity: turn.fidelity,
    })),
  };
}

function turnFacts(index: RunIndex, rollout: RolloutId, turns: readonly RecordedTurn[]): TurnFacts[] {
  const records = new Map(index.turns(rollout).map((record) => [record.index, record]));
  return turns.map((turn) => {
    const record = records.get(turn.index);
    const reply = record === undefined ? null : replyOf(index, record);
    return {
      index: turn.index,
      promptTokens: turn.prompt.length,
      reusedTokens: turn.reused,
      sampledTokens: turn.completion.length,
      toolCalls: reply?.toolCalls.map(({ name }) => name) ?? [],
      finishReason: turn.finishReason,
      fidelity: turn.fidelity,
      versions: (turn.versions[0] ?? -1) < 0 ? null : [turn.versions[0] as number, turn.versions.at(-1) as number],
      meanLogprob: mean(turn.behaviorLogprobs),
    };
  });
}

function mean(values: Float32Array): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function branchHeading(index: RunIndex, rollout: RolloutId, branch: Branch, at: number): string {
  const turns = `turn${branch.turns.length === 1 ? '' : 's'} ${branch.turns.join(', ')}`;
  const cause = index.turns(rollout).find((turn) => turn.index === branch.turns[0])?.break?.cause;
  const why = cause === undefined ? '' : ` (${cause})`;
  if (at === 0) return `== branch 0: ${turns}`;
  if (branch.fork === null) return `== branch ${at}: ${turns}, a conversation of its own${why}`;
  const { branch: from, messages } = branch.fork;
  return `== branch ${at}: ${turns}, from branch ${from} after ${messages} message${messages === 1 ? '' : 's'}${why}`;
}

function messageText(message: Message): string {
  const calls = message.role === 'assistant' ? message.toolCalls.map((call) => `${call.name} ${call.arguments}`) : [];
  return [
    `[${message.role}]`,
    ...(message.content === '' ? [] : [visible(message.content)]),
    ...calls.map(visible),
  ].join('\n');
}
