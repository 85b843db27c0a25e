/**
 * One rollout on a relay: the turns that its calls were, in the order in which their replies ended.
 *
 * Invariants:
 * 1. Recording comes after the bytes and never fails a call; what cannot be recorded is counted and told.
 * 2. A call that is no turn (an error, a broken reply) leaves a note.
 */
import { EspalierError, messageOf } from '../../core/errors.ts';
import type { RolloutId } from '../../core/ids.ts';
import type { SessionFacts } from '../../core/session.ts';
import { assistantBlock } from '../../trajectory/canonical.ts';
import type { Journal } from '../../trajectory/journal.ts';
import type { TurnRecord } from '../../trajectory/records.ts';
import type { RelayedReply, RelayedRequest, RelayFormat } from './format.ts';
import type { Exchange } from './forward.ts';
import { Lineage } from './lineage.ts';
import { type NoTurn, readExchange } from './read-exchange.ts';

export interface RelayedCall {
  readonly format: RelayFormat;
  /** `/v1/messages` */
  readonly path: string;
  readonly exchange: Exchange;
  readonly requestEncoding: string | undefined;
}

export class RelaySession {
  readonly rollout: RolloutId;
  readonly #journal: Journal;
  readonly #onDrop: (failure: EspalierError) => void;
  readonly #lineage = new Lineage();
  readonly #announced: () => Promise<void>;
  #recording: Promise<void> = Promise.resolve();
  #facts: SessionFacts = {
    turns: 0,
    exactTurns: 0,
    sampledTokens: 0,
    toolCalls: 0,
    parallelTurns: 0,
    retokenizedSampledTokens: 0,
    truncatedBy: null,
  };

  /** `onDrop` is told of each call that could not be recorded. */
  constructor(rollout: RolloutId, journal: Journal, onDrop: (failure: EspalierError) => void) {
    this.rollout = rollout;
    this.#journal = journal;
    this.#onDrop = onDrop;
    const unknown = { temperature: null, maxTokensPerTurn: null, seed: null };
    this.#announced = journal.announce({ type: 'session', rollout, ...unknown, trainable: false });
  }

  /** Takes a call that has ended. Calls are recorded one after the other, so that a turn finds the one before it. */
  take(call: RelayedCall): void {
    this.#recording = this.#recording.then(() =>
      this.#record(call)
        .catch((cause: unknown) => {
          const known = cause instanceof EspalierError ? cause : null;
          this.#onDrop(
            known ?? new EspalierError('store', `a relayed call was not recorded: ${messageOf(cause)}`, { cause }),
          );
        })
        .finally(() => {
          call.exchange.sent.release();
          call.exchange.received.release();
        }),
    );
  }

  /** Resolves when all that was taken is durable, or dropped. */
  async close(): Promise<SessionFacts> {
    await this.#recording;
    return this.#facts;
  }

  async #record({ format, path, exchange, requestEncoding }: RelayedCall): Promise<void> {
    const read = await readExchange(format, exchange, requestEncoding);
    await this.#journal.ready();
    await this.#announced();
    if (read.type === 'none') await this.#note(path, exchange.status, read.why);
    else for (const reply of read.replies) await this.#turn(path, read.request, reply);
  }

  #note(path: string, status: number, why: NoTurn): Promise<void> {
    return this.#journal.append({ type: 'note', note: { about: 'relay', rollout: this.rollout, path, status, why } });
  }

  async #turn(path: string, request: RelayedRequest, reply: RelayedReply): Promise<void> {
    const { prompt, completion, logprobs } = reply.tokens ?? noTokens;
    const descent = this.#lineage.descend(request.messages, request.tools, prompt);
    const said = assistantBlock(reply.content, reply.toolCalls);
    const record: TurnRecord = {
      type: 'turn',
      rollout: this.rollout,
      index: this.#facts.turns,
      attempt: 0,
      parent: descent.parent,
      reused: descent.reused,
      tail: prompt.slice(descent.reused),
      completion,
      behaviorLogprobs: logprobs,
      entropies: new Float32Array(completion.length).fill(Number.NaN),
      versions: new Int32Array(completion.length).fill(-1),
      finishReason: reply.finishReason,
      truncatedBy: reply.finishReason === 'length' ? 'tokens' : null,
      fidelity: reply.tokens === null ? 'text' : 'observed',
      toolCallCount: reply.toolCalls.length,
      retokenizedSampledTokens: 0,
      break: descent.break,
      requestKey: descent.conversationKey,
      tools: descent.tools,
      messagesReused: descent.messagesReused,
      messages: descent.messages,
      reply: said.key,
      wishes: request.settings,
      relay: { path, model: reply.model || request.model, usage: reply.usage, thinking: reply.thinking },
    };
    await this.#journal.appendTurn(record, [...descent.blocks, said]);
    // Later turns continue only what is recorded.
    this.#count(record);
    this.#lineage.add(record, descent, prompt);
  }

  #count(turn: TurnRecord): void {
    const { turns, sampledTokens, toolCalls, parallelTurns } = this.#facts;
    this.#facts = {
      ...this.#facts,
      turns: turns + 1,
      sampledTokens: sampledTokens + turn.completion.length,
      toolCalls: toolCalls + turn.toolCallCount,
      parallelTurns: parallelTurns + (turn.toolCallCount >= 2 ? 1 : 0),
      truncatedBy: turn.truncatedBy,
    };
  }
}

const noTokens = { prompt: new Int32Array(0), completion: new Int32Array(0), logprobs: new Float32Array(0) };
