/**
 * One rollout's key on the proxy: its conversation, its turns, its facts.
 *
 * Not HTTP (answer.ts): it takes parsed requests and gives turns.
 *
 * Invariants:
 * 1. complete() resolves only when its turn is durable.
 * 2. A request that equals a recorded turn's, not asked again since the session was opened, gets that turn: a resumed
 *    run goes on where it was, and neither loses nor repeats an acknowledged turn.
 * 3. Turn t samples from seedOf(session seed, t, attempt), unless the session honors a seed of the request; t is the
 *    smallest number that is free when the request comes, so a turn that failed or was aborted draws the same when it
 *    is asked again.
 * 4. Equal bodies are a retry, and get one turn, only with a retry header or after a connection that broke. Otherwise
 *    they are separate samples.
 */
import { EspalierError } from '../core/errors.ts';
import { besideId, type RolloutId } from '../core/ids.ts';
import type { ToolCall } from '../core/message.ts';
import { seedOf } from '../core/random.ts';
import type { SessionFacts } from '../core/session.ts';
import { noTruncation, truncates } from '../core/truncation.ts';
import type { CompletionRequest } from '../dialects/dialect.ts';
import { Refusal } from '../dialects/refusal.ts';
import type { Sampler } from '../engine/engine.ts';
import { ContentStream } from '../tokens/content-stream.ts';
import type { Renderer } from '../tokens/renderer.ts';
import { StopStream } from '../tokens/stop-strings.ts';
import { assistantBlock } from '../trajectory/canonical.ts';
import { Conversation, type PreparedTurn } from '../trajectory/conversation.ts';
import type { Journal } from '../trajectory/journal.ts';
import type { SessionRecord, TurnRecord } from '../trajectory/records.ts';
import type { ModelMap } from './model-map.ts';
import { asSampled, callIdOf, type SampledCall } from './returned-calls.ts';
import { type SampledCompletion, sampleCompletion } from './sampling.ts';
import { ThinkingStream } from './thinking-stream.ts';
import { type SamplingRule, samplingKey, type TurnSampling, turnSampling } from './turn-sampling.ts';

export interface SessionOptions extends SamplingRule {
  readonly maxTokensPerTurn: number;
  readonly seed: bigint;
  readonly trainable: boolean;
  /** Which model answers under which name, in place of the proxy's map. */
  readonly models?: ModelMap;
}

/** What a session needs of its proxy. */
export interface SessionServices {
  readonly journal: Journal;
  readonly renderer: Renderer;
  readonly sampler: () => Sampler;
}

export interface CompleteOptions {
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal;
  /** The request says that it repeats an earlier one. */
  readonly isRetry: boolean;
  /** Called when the prompt is known; what is refused for its sake is refused before anything is awaited. */
  readonly onPrepared?: () => void;
  /** Called with certain thinking while the completion grows, and with all of it before any content. */
  readonly onThinking?: (piece: string) => void;
  /** Called with certain content while the completion grows. */
  readonly onContent?: (piece: string) => void;
}

/** A durable turn, as the agent sees it. */
export interface ServedTurn {
  readonly record: TurnRecord;
  readonly promptTokens: number;
  readonly thinking: string;
  readonly content: string;
  /** The stop string that ended it, or null. */
  readonly stop: string | null;
  readonly toolCalls: readonly ToolCall[];
  /** The reply could not be sent whole: the next equal request is a retry. */
  broken(): void;
}

interface Served {
  readonly record: TurnRecord;
  broken: boolean;
}

/** A turn that is being sampled or recorded; `signal` is aborted when its client went away. */
interface Running {
  readonly record: Promise<TurnRecord>;
  readonly signal: AbortSignal;
}

export class Session {
  readonly rollout: RolloutId;
  readonly #options: SessionOptions;
  readonly #services: SessionServices;
  readonly #conversation: Conversation;
  /** Recorded before this opening and not asked for since, by request key, in order. */
  readonly #recorded = new Map<string, TurnRecord[]>();
  readonly #served = new Map<string, Served>();
  readonly #servedTurns = new Map<number, TurnRecord>();
  /** Calls of a turn, by its index. */
  readonly #calls = new Map<number, readonly SampledCall[]>();
  readonly #taken = new Set<number>();
  readonly #running = new Map<string, Running>();
  readonly #closing = new AbortController();
  readonly #name: string;
  #preparing: Promise<unknown> = Promise.resolve();
  #untrained: Session | null = null;
  /** Resolves when the session is in the record. */
  readonly #announced: () => Promise<void>;
  #contextRefused = false;
  #replies = 0;

  /** `name` is what replies are numbered under. */
  constructor(rollout: RolloutId, name: string, options: SessionOptions, services: SessionServices) {
    this.rollout = rollout;
    this.#name = name;
    this.#options = options;
    this.#services = services;
    this.#announced = services.journal.announce(sessionRecord(rollout, options));
    const records = services.journal.index.turns(rollout);
    this.#conversation = new Conversation(services.renderer, records);
    for (const record of records) {
      this.#taken.add(record.index);
      if (record.toolCallCount > 0) this.#calls.set(record.index, services.renderer.parse(record.completion).toolCalls);
      const same = this.#recorded.get(record.requestKey);
      if (same === undefined) this.#recorded.set(record.requestKey, [record]);
      else same.push(record);
    }
  }

  /** As it was opened with, or null: the proxy's. */
  get models(): ModelMap | null {
    return this.#options.models ?? null;
  }

  /** Of the same agent, for names that nothing is learned from: a rollout beside this one. It closes with this one. */
  get untrained(): Session {
    if (!this.#options.trainable) return this;
    this.#untrained ??= new Session(
      besideId(this.rollout, 'untrained'),
      `${this.#name}-untrained`,
      { ...this.#options, trainable: false },
      this.#services,
    );
    return this.#untrained;
  }

  /** A fresh id for a reply: agents loop when one comes twice. */
  replyId(): string {
    return `${this.#name}-${this.#replies++}`;
  }

  /** Throws Refusal, EspalierError('provider' | 'store'), or the signal's reason. */
  async complete(request: CompletionRequest, options: CompleteOptions): Promise<ServedTurn> {
    const prepared = await this.#prepare(request);
    options.onPrepared?.();
    const limit = Math.min(this.#options.maxTokensPerTurn, request.maxTokens ?? Number.POSITIVE_INFINITY);
    const stops = request.stop ?? [];
    const parts = [stops.length > 0 ? JSON.stringify(stops) : '', samplingKey(this.#options, request.sampling)];
    const key = [prepared.conversationKey, limit, ...parts.filter((part) => part !== '')].join('/');
    const known = this.#recall(key, options.isRetry) ?? (await this.#join(key, options.isRetry));
    const record = known ?? (await this.#sampleNew(request, prepared, limit, key, options));
    return this.#serve(record, stops);
  }

  /** Tokens of the prompt that the request would be sampled from. Records nothing. Throws as complete(). */
  async countTokens(request: CompletionRequest): Promise<number> {
    return (await this.#prepare(request)).prompt.length;
  }

  /** Aborts what is under way and gives the facts, without those of `untrained`. */
  async close(): Promise<SessionFacts> {
    await this.#untrained?.close();
    this.#closing.abort(new Refusal(401, 'This session is closed.', { code: 'invalid_api_key' }));
    await Promise.allSettled([...this.#running.values()].map(({ record }) => record));
    const turns = [...this.#servedTurns.values()].sort((a, b) => a.index - b.index);
    const sum = (of: (turn: TurnRecord) => number): number => turns.reduce((total, turn) => total + of(turn), 0);
    return {
      turns: turns.length,
      exactTurns: sum((turn) => (turn.fidelity === 'exact' ? 1 : 0)),
      sampledTokens: sum((turn) => turn.completion.length),
      toolCalls: sum((turn) => turn.toolCallCount),
      parallelTurns: sum((turn) => (turn.toolCallCount >= 2 ? 1 : 0)),
      retokenizedSampledTokens: sum((turn) => turn.retokenizedSampledTokens),
      truncatedBy: this.#contextRefused ? 'context' : (turns.at(-1)?.truncatedBy ?? null),
    };
  }

  /** One after the other, so that turns are numbered in the order in which requests come, however long they are. */
  #prepare(request: CompletionRequest): Promise<PreparedTurn> {
    // What cannot fit is not rendered: its tokens alone would keep everyone waiting.
    const { contextLength } = this.#services.sampler();
    const least = this.#services.renderer.leastTokens(request.messages);
    if (least > contextLength) throw this.#tooLong(contextLength, least);
    const prepared = this.#preparing.then(() => this.#rendered(request));
    this.#preparing = prepared.catch(() => undefined);
    return prepared;
  }

  async #rendered({ messages, tools }: CompletionRequest): Promise<PreparedTurn> {
    const said = asSampled(messages, tools, (turn, place) => this.#calls.get(turn)?.[place] ?? null);
    try {
      return await this.#conversation.prepareAside(said, tools);
    } catch (cause) {
      if (!(cause instanceof EspalierError && cause.boundary === 'checkpoint')) throw cause;
      // Templates refuse conversations that they have no form for, as a tool's answer before any call.
      throw new Refusal(400, `This model cannot be asked that: ${cause.message}`, { param: 'messages', cause });
    }
  }

  #recall(key: string, isRetry: boolean): TurnRecord | null {
    const recorded = this.#recorded.get(key)?.shift();
    if (recorded !== undefined) return recorded;
    const served = this.#served.get(key);
    return served !== undefined && (isRetry || served.broken) ? served.record : null;
  }

  /**
   * A retry of a request that is still under way waits for that one, unless it comes to nothing. One whose client went
   * away may be on its way to the disk.
   */
  async #join(key: string, isRetry: boolean): Promise<TurnRecord | null> {
    const running = this.#running.get(key);
    if (running === undefined || !(isRetry || running.signal.aborted)) return null;
    return running.record.catch(() => null);
  }

  async #sampleNew(
    request: CompletionRequest,
    prepared: PreparedTurn,
    limit: number,
    key: string,
    options: CompleteOptions,
  ): Promise<TurnRecord> {
    const index = this.#takeIndex();
    const record = this.#sampleAndRecord(request, prepared, limit, key, index, options);
    const running: Running = { record, signal: options.signal };
    this.#running.set(key, running);
    try {
      return await record;
    } catch (failure) {
      this.#taken.delete(index);
      throw failure;
    } finally {
      if (this.#running.get(key) === running) this.#running.delete(key);
    }
  }

  async #sampleAndRecord(
    request: CompletionRequest,
    prepared: PreparedTurn,
    limit: number,
    requestKey: string,
    index: number,
    options: CompleteOptions,
  ): Promise<TurnRecord> {
    const { renderer, journal } = this.#services;
    const sampler = this.#services.sampler();
    const sampling = turnSampling(this.#options, request.sampling);
    const room = sampler.contextLength - prepared.prompt.length;
    if (room < 1) throw this.#tooLong(sampler.contextLength, prepared.prompt.length);
    await journal.ready();
    const sampled = await sampleCompletion(sampler, {
      prompt: prepared.prompt,
      maxTokens: Math.min(limit, room),
      temperature: sampling.temperature,
      truncation: sampling,
      stopIds: renderer.stopIds,
      seed: sampling.seed ?? seedOf(this.#options.seed.toString(), index, attempt),
      affinity: this.rollout,
      signal: AbortSignal.any([options.signal, this.#closing.signal]),
      onTokens: replySink(renderer, options, request.stop ?? []),
    });
    const { content, toolCalls } = renderer.parse(sampled.ids, request.stop);
    const reply = assistantBlock(content, toolCalls);
    const record: TurnRecord = {
      type: 'turn',
      rollout: this.rollout,
      index,
      attempt,
      parent: prepared.parent,
      reused: prepared.reused,
      tail: prepared.prompt.slice(prepared.reused),
      ...recordedCompletion(sampled),
      finishReason: sampled.reason === 'length' ? 'length' : toolCalls.length > 0 ? 'tool_calls' : 'stop',
      truncatedBy: sampled.reason === 'stop' ? null : room < limit ? 'context' : 'tokens',
      fidelity: prepared.retokenizedSampledTokens === 0 ? 'exact' : 'observed',
      toolCallCount: toolCalls.length,
      retokenizedSampledTokens: prepared.retokenizedSampledTokens,
      break: prepared.break,
      requestKey,
      tools: prepared.tools,
      messagesReused: prepared.messagesReused,
      messages: prepared.messages,
      reply: reply.key,
      wishes: request.wishes,
      ...(this.#options.samplingBy === 'request' && { sampling: recordedSampling(sampling) }),
    };
    await this.#announced();
    await journal.appendTurn(record, [...prepared.blocks, reply]);
    this.#conversation.add(record);
    if (toolCalls.length > 0) this.#calls.set(index, toolCalls);
    return record;
  }

  #serve(record: TurnRecord, stops: readonly string[]): ServedTurn {
    const served: Served = { record, broken: false };
    this.#served.set(record.requestKey, served);
    this.#servedTurns.set(record.index, record);
    const { thinking, content, toolCalls, stop } = this.#services.renderer.parse(record.completion, stops);
    return {
      record,
      promptTokens: record.reused + record.tail.length,
      thinking,
      content,
      stop,
      toolCalls: toolCalls.map((call, i) => ({ id: callIdOf(record.index, i), ...call })),
      broken: () => {
        served.broken = true;
      },
    };
  }

  #takeIndex(): number {
    let index = 0;
    while (this.#taken.has(index)) index++;
    this.#taken.add(index);
    return index;
  }

  #tooLong(contextLength: number, promptLength: number): Refusal {
    this.#contextRefused = true;
    return new Refusal(
      400,
      // The beginning is what Claude Code compacts at, the rest what clients of chat completions look for.
      `prompt is too long: ${promptLength} tokens > ${contextLength} maximum. This model's maximum context length is ${contextLength} tokens. However, your messages resulted in ${promptLength} tokens. Please reduce the length of the messages.`,
      { param: 'messages', code: 'context_length_exceeded' },
    );
  }
}

function sessionRecord(rollout: RolloutId, options: SessionOptions): SessionRecord {
  const { temperature, truncation = noTruncation, samplingBy, maxTokensPerTurn, seed, trainable } = options;
  return {
    type: 'session',
    rollout,
    temperature,
    ...(truncates(truncation) && { truncation }),
    ...(samplingBy === 'request' && { samplingBy }),
    maxTokensPerTurn,
    seed: seed.toString(),
    trainable,
  };
}

/** Reserved for samplers that must draw anew after a failure; the proxy asks once. */
const attempt = 0;

function recordedSampling({ seed, ...sampling }: TurnSampling): NonNullable<TurnRecord['sampling']> {
  return { ...sampling, seed: seed === null ? null : seed.toString() };
}

function recordedCompletion(
  sampled: SampledCompletion,
): Pick<TurnRecord, 'completion' | 'behaviorLogprobs' | 'entropies' | 'versions'> {
  return {
    completion: sampled.ids,
    behaviorLogprobs: sampled.logprobs,
    entropies: sampled.entropies,
    versions: sampled.versions,
  };
}

/**
 * Decodes pieces of a completion to certain text, and finds where a stop string ends it; the stop token decodes to text
 * that is never shown.
 */
function replySink(
  renderer: Renderer,
  { onThinking, onContent }: CompleteOptions,
  stops: readonly string[],
): ((ids: Int32Array) => number | null) | undefined {
  if (onContent === undefined && stops.length === 0) return undefined;
  const text = renderer.tokenizer.stream();
  const said = new StopStream(stops);
  const thinking = new ThinkingStream(renderer.opensThinking);
  const content = new ContentStream(renderer.opensThinking);
  return (ids) => {
    let piece = '';
    let read = 0;
    const shown = renderer.stopped(ids) ? ids.subarray(0, -1) : ids;
    while (read < shown.length && said.found === null) piece += said.push(text.push(shown.subarray(read, ++read)));
    const thought = thinking.push(piece);
    if (thought !== '') onThinking?.(thought);
    const certain = content.push(piece);
    if (certain !== '') onContent?.(certain);
    return said.found === null ? null : read;
  };
}
