/**
 * Continuous batching: a queue of requests, and a loop that moves every running sequence by one forward call a step.
 *
 * Invariants:
 * 1. What a request gets is a function of weights, prompt, seed and sampling; queueing, batching, chunking and caching
 *    decide only when.
 * 2. Requests start in the order in which they came, except those that wait for a prompt that is being computed.
 * 3. Every accepted stream gets exactly one `end`.
 */

import { messageOf } from '../../../core/errors.ts';
import type { Native } from '../../../native/native.ts';
import { commonPrefix } from '../../../trie/common-prefix.ts';
import type { EngineStatistics, GenerateRequest } from '../../engine.ts';
import type { EventStream } from '../../event-stream.ts';
import type { PrefixCache } from './prefix-cache.ts';
import { type Generation, Sequence, type Waiting } from './sequence.ts';
import { planStep, type StepShare, shareStep } from './step-plan.ts';

export interface SchedulerOptions {
  readonly contextLength: number;
  /** Tokens of one forward call: decoding sequences first, then chunks of prompts. */
  readonly stepTokens: number;
  readonly maxSequences: number;
}

/** A shared prefix shorter than this is computed twice rather than waited for. */
const worthWaiting = 16;

export class Scheduler {
  readonly #native: Native;
  readonly #prefixes: PrefixCache;
  readonly #options: SchedulerOptions;
  #generation: Generation;
  #waiting: Waiting[] = [];
  #running: Sequence[] = [];
  #looping: Promise<void> | null = null;
  #paused = false;
  #abortSeen = false;
  #counts = { requests: 0, promptTokens: 0, reusedTokens: 0, computedTokens: 0, sampledTokens: 0, steps: 0 };

  constructor(native: Native, prefixes: PrefixCache, generation: Generation, options: SchedulerOptions) {
    this.#native = native;
    this.#prefixes = prefixes;
    this.#generation = generation;
    this.#options = options;
  }

  get statistics(): EngineStatistics {
    return { ...this.#counts, ...this.#prefixes.facts };
  }

  submit(request: GenerateRequest, stream: EventStream): void {
    const onAbort = () => this.noticeAbort();
    this.#waiting.push({ request, stream, onAbort, leader: null });
    request.signal?.addEventListener('abort', onAbort, { once: true });
    if (request.signal?.aborted === true) this.#abortSeen = true;
    this.#wake();
  }

  /** An aborted request ends at the next token boundary. */
  noticeAbort(): void {
    this.#abortSeen = true;
    this.#wake();
  }

  /** Requests that start from now on sample under it; cached prefixes of the last one go. */
  use(generation: Generation): void {
    this.#prefixes.dropRoot(this.#generation.root);
    this.#generation = generation;
  }

  async pause(): Promise<void> {
    this.#paused = true;
    await this.#looping;
  }

  resume(): void {
    this.#paused = false;
    this.#wake();
  }

  /** Fails what is open and waits for the forward call under way. */
  async close(): Promise<void> {
    for (const { stream } of this.#waiting.splice(0)) {
      stream.push({ type: 'end', reason: 'failed', message: 'the engine was closed' });
    }
    for (const sequence of this.#running) sequence.fail('the engine was closed');
    await this.#looping;
  }

  #wake(): void {
    this.#looping ??= this.#loop();
  }

  async #loop(): Promise<void> {
    // Requests that arrive in one turn of the event loop start in one batch.
    await new Promise((resolve) => setImmediate(resolve));
    try {
      do {
        this.#endStopped();
        if (!this.#paused) this.#admit();
        for (const sequences of byGeneration(this.#running)) await this.#step(sequences);
        this.#sweep();
      } while (this.#running.length > 0 || this.#abortSeen || (this.#waiting.length > 0 && !this.#paused));
    } finally {
      this.#looping = null;
    }
  }

  /** Ends what was aborted or paused since the last step. */
  #endStopped(): void {
    if (this.#abortSeen) this.#endAborted();
    if (this.#paused) for (const sequence of this.#running) sequence.end('paused');
    this.#sweep();
  }

  async #step(sequences: readonly Sequence[]): Promise<void> {
    const shares = shareStep(sequences, this.#options.stepTokens);
    try {
      for (const { sequence, count } of shares) this.#prefixes.extend(sequence, sequence.computed + count);
      const { weights } = (shares[0] as StepShare).sequence.generation;
      const plan = planStep(shares);
      const drawn = await this.#native.forward(weights, this.#prefixes.cache, plan);
      this.#counts.steps++;
      this.#counts.computedTokens += plan.tokens.length;
      shares.forEach(({ sequence, count }, b) => {
        this.#prefixes.commit(sequence, sequence.computed + count);
        if (plan.draw[b] === 0 || sequence.ended) return;
        this.#counts.sampledTokens++;
        sequence.take(drawn.ids[b] as number, drawn.logprobs[b] as number, drawn.entropies[b] as number);
      });
    } catch (thrown) {
      for (const { sequence } of shares) sequence.fail(`the forward call failed: ${messageOf(thrown)}`);
    }
  }

  #admit(): void {
    const left: Waiting[] = [];
    let closed = false;
    for (const waiting of this.#waiting) {
      closed ||= this.#running.length >= this.#options.maxSequences;
      if (closed || this.#waitsForPrompt(waiting)) left.push(waiting);
      else if (!this.#start(waiting)) {
        left.push(waiting);
        closed = true;
      }
    }
    this.#waiting = left;
  }

  #start(waiting: Waiting): boolean {
    const sequence = new Sequence(waiting, this.#generation, this.#options.contextLength);
    if (!this.#prefixes.admit(sequence, this.#blocksNeeded(sequence))) return false;
    this.#counts.requests++;
    this.#counts.promptTokens += sequence.promptLength;
    this.#counts.reusedTokens += sequence.computed;
    this.#running.push(sequence);
    return true;
  }

  /** True while a running sequence computes more of this prompt than the cache holds: a group's prompt, once. */
  #waitsForPrompt(waiting: Waiting): boolean {
    const { leader } = waiting;
    if (leader !== null && !leader.sequence.ended && leader.sequence.computed < leader.tokens) return true;
    waiting.leader = null;
    const { ids } = waiting.request;
    let cached = -1;
    for (const sequence of this.#running) {
      if (!sequence.prefilling || sequence.generation !== this.#generation || sequence.ended) continue;
      const tokens = commonPrefix(ids, 0, sequence.ids, 0, Math.min(ids.length - 1, sequence.promptLength));
      if (tokens < worthWaiting || tokens <= sequence.computed) continue;
      if (cached < 0) cached = this.#prefixes.cachedTokens(this.#generation.root, ids);
      if (tokens - cached < worthWaiting) continue;
      waiting.leader = { sequence, tokens };
      return true;
    }
    return false;
  }

  #endAborted(): void {
    this.#abortSeen = false;
    const message = 'aborted by the caller';
    this.#waiting = this.#waiting.filter((waiting) => {
      if (!isAborted(waiting)) return true;
      waiting.stream.push({ type: 'end', reason: 'failed', message });
      return false;
    });
    for (const sequence of this.#running) if (isAborted(sequence.accepted)) sequence.fail(message);
  }

  #sweep(): void {
    if (!this.#running.some((sequence) => sequence.ended)) return;
    this.#running = this.#running.filter((sequence) => {
      if (!sequence.ended) return true;
      const { request, onAbort } = sequence.accepted;
      request.signal?.removeEventListener('abort', onAbort);
      this.#prefixes.release(sequence, this.#blocksNeeded(sequence));
      return false;
    });
  }

  /** For the longest completion; the last token drawn is never computed. */
  #blocksNeeded(sequence: Sequence): number {
    return Math.max(1, Math.ceil((sequence.limit - 1) / this.#prefixes.blockTokens));
  }
}

function isAborted({ request, stream }: Waiting): boolean {
  return request.signal?.aborted === true || stream.abandoned;
}

function byGeneration(sequences: readonly Sequence[]): Sequence[][] {
  const groups = new Map<Generation, Sequence[]>();
  for (const sequence of sequences) {
    const group = groups.get(sequence.generation);
    if (group === undefined) groups.set(sequence.generation, [sequence]);
    else group.push(sequence);
  }
  return [...groups.values()];
}
