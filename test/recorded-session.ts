/**
 * A session as the proxy would record it, turn by turn, for tests of what is read from a record: real ids from a real
 * tokenizer, sampled by nobody.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { groupId, type RolloutId, rolloutId, taskId } from '../src/core/ids.ts';
import type { Message } from '../src/core/message.ts';
import type { ToolDefinition } from '../src/core/tool.ts';
import { resolveConfig } from '../src/run/config.ts';
import { RunDirectory } from '../src/run/directory.ts';
import { trainBpe } from '../src/tokens/bpe-trainer.ts';
import { compactTemplate } from '../src/tokens/compact-template.ts';
import { writeTokenizer } from '../src/tokens/load.ts';
import { Renderer } from '../src/tokens/renderer.ts';
import { Tokenizer } from '../src/tokens/tokenizer.ts';
import { assistantBlock, type MessageBlock } from '../src/trajectory/canonical.ts';
import { Conversation } from '../src/trajectory/conversation.ts';
import { Journal } from '../src/trajectory/journal.ts';
import type { OutcomeRecord, RunRecord, TurnRecord } from '../src/trajectory/records.ts';
import { RunIndex } from '../src/trajectory/run-index.ts';

const trained = trainBpe(['read the file '.repeat(4)], {
  vocabSize: 400,
  addedTokens: ['<|im_start|>', '<|im_end|>'].map((content) => ({ content, special: true })),
  eosToken: '<|im_end|>',
});
const tokenizer = new Tokenizer(trained.tokenizerJson, trained.tokenizerConfig);
const stop = tokenizer.idOf('<|im_end|>') as number;
export const renderer = new Renderer(tokenizer, compactTemplate, [stop]);

export const testRollout = rolloutId(groupId('batch/0', 0), 0);

export class RecordedSession {
  readonly rollout: RolloutId;
  readonly turns: TurnRecord[] = [];
  readonly blocks: MessageBlock[] = [];
  readonly #conversation = new Conversation(renderer, []);

  constructor(rollout: RolloutId = testRollout) {
    this.rollout = rollout;
  }

  /** One turn. Gives the reply as an agent would send it back. `says` is the completion's text, without its stop. */
  ask(
    messages: readonly Message[],
    says: string,
    tools: readonly ToolDefinition[] = [],
    change: Partial<TurnRecord> = {},
  ): Message {
    const prepared = this.#conversation.prepare(messages, tools);
    const completion = Int32Array.from([...tokenizer.encode(says), stop]);
    const { content, toolCalls } = renderer.parse(completion);
    const reply = assistantBlock(content, toolCalls);
    const turn: TurnRecord = {
      type: 'turn',
      rollout: this.rollout,
      index: this.turns.length,
      attempt: 0,
      parent: prepared.parent,
      reused: prepared.reused,
      tail: prepared.prompt.slice(prepared.reused),
      completion,
      behaviorLogprobs: Float32Array.from(completion, (id) => -id / 7),
      entropies: Float32Array.from(completion, (id) => id / 3),
      versions: new Int32Array(completion.length).fill(3),
      finishReason: toolCalls.length > 0 ? 'tool_calls' : 'stop',
      truncatedBy: null,
      fidelity: prepared.retokenizedSampledTokens > 0 ? 'observed' : 'exact',
      toolCallCount: toolCalls.length,
      retokenizedSampledTokens: prepared.retokenizedSampledTokens,
      break: prepared.break,
      requestKey: prepared.conversationKey,
      tools: prepared.tools,
      messagesReused: prepared.messagesReused,
      messages: prepared.messages,
      reply: reply.key,
      wishes: {},
      ...change,
    };
    this.#conversation.add(turn);
    this.turns.push(turn);
    this.blocks.push(...prepared.blocks, reply);
    const named = toolCalls.map((call, at) => ({ id: `agent_${turn.index}_${at}`, ...call }));
    return { role: 'assistant', content, toolCalls: named };
  }

  outcome(change: Partial<OutcomeRecord> = {}): OutcomeRecord {
    return {
      type: 'outcome',
      rollout: this.rollout,
      outcome: { status: 'completed' },
      task: taskId('seedlings/train/7'),
      facts: null,
      attempts: 1,
      seconds: 1,
      ...change,
    };
  }

  records(): RunRecord[] {
    const messages = this.blocks.map(({ key, body }): RunRecord => ({ type: 'message', key, body }));
    return [...messages, ...this.turns];
  }

  index(): RunIndex {
    const index = new RunIndex({ bodies: true });
    for (const record of this.records()) index.apply(record);
    return index;
  }
}

export const user = (content: string): Message => ({ role: 'user', content });
export const answerTo = (reply: Message, content: string, call = 0): Message => ({
  role: 'tool',
  toolCallId: reply.role === 'assistant' ? (reply.toolCalls[call]?.id ?? '') : '',
  content,
});
export const call = (name: string, value: unknown): string =>
  `<tool_call>${JSON.stringify({ name, arguments: value })}</tool_call>`;

/** A run directory that holds these sessions, and the tokenizer as its first checkpoint. */
export async function writeRecordedRun(
  folder: string,
  sessions: readonly RecordedSession[],
  more: readonly OutcomeRecord[] = [],
): Promise<void> {
  await RunDirectory.create(resolveConfig({}, 'test'), folder);
  const checkpoint = join(folder, 'checkpoints', '0');
  await mkdir(checkpoint);
  await writeTokenizer(checkpoint, trained, compactTemplate);
  const journal = await Journal.open(folder);
  for (const session of sessions) {
    for (const turn of session.turns) await journal.appendTurn(turn, session.blocks);
  }
  for (const record of more) await journal.append(record);
  await journal.close();
}
