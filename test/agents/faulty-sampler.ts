/**
 * A sampler to which something happens once in every turn: what stands between a call and its reply when engines stall,
 * fail and change their weights.
 *
 * Not what happens to connections (cut-wire.ts), nor a process that dies (scripted-engine-child.ts).
 *
 * Invariant: a turn is struck at its first attempt, once: a call that is tried again or goes on after a pause is not.
 */
import { policyVersion } from '../../src/core/ids.ts';
import type { GenerateEvent, GenerateRequest, Sampler } from '../../src/engine/engine.ts';

/** Events of the struck call, made of those that would have come. */
export type Strike = (
  events: AsyncIterable<GenerateEvent>,
  request: GenerateRequest,
) => AsyncGenerator<GenerateEvent, void, undefined>;

export class FaultySampler implements Sampler {
  readonly contextLength: number;
  readonly vocabSize: number;
  readonly #inner: Sampler;
  readonly #strike: Strike;
  readonly #struck = new Set<string>();
  readonly #callers = new WeakSet<AbortSignal>();
  readonly #renews: boolean;
  /** Every call, continued ones too. */
  calls = 0;

  /** `renews`: what goes on does so under version 1. */
  constructor(inner: Sampler, strike: Strike, renews = false) {
    this.contextLength = inner.contextLength;
    this.vocabSize = inner.vocabSize;
    this.#inner = inner;
    this.#strike = strike;
    this.#renews = renews;
  }

  /** Turns that were struck. */
  get strikes(): number {
    return this.#struck.size;
  }

  async *generate(request: GenerateRequest): AsyncGenerator<GenerateEvent, void, undefined> {
    const { ids, signal } = request;
    const prompt = ids.join();
    const goesOn = signal !== undefined && this.#callers.has(signal);
    const isStruck = !goesOn && !this.#struck.has(prompt);
    this.calls++;
    if (signal !== undefined) this.#callers.add(signal);
    if (isStruck) this.#struck.add(prompt);
    const events = this.#inner.generate(request);
    for await (const event of isStruck ? this.#strike(events, request) : events) {
      yield event.type === 'tokens' && goesOn && this.#renews ? { ...event, version: policyVersion(1) } : event;
    }
  }
}

/** Nothing happens. */
export const calm: Strike = async function* (events) {
  yield* events;
};

/** After the first piece the engine says nothing until `over` resolves. */
export const stall = (over: (request: GenerateRequest) => Promise<unknown>): Strike =>
  async function* (events, request) {
    let first = true;
    for await (const event of events) {
      yield event;
      if (first) await over(request);
      first = false;
    }
  };

/** New weights come after the first piece: the rest is sampled by another call, under another version. */
export const newWeights: Strike = async function* (events) {
  for await (const event of events) {
    yield event;
    if (event.type === 'tokens') break;
  }
  yield { type: 'end', reason: 'paused' };
};

/** The engine fails before its first token, or after its first piece. */
export const failure = (when: 'at once' | 'in mid-reply'): Strike =>
  async function* (events) {
    for await (const event of events) {
      if (when === 'at once') break;
      yield event;
      // So that an event stream has begun.
      await new Promise((resolve) => setTimeout(resolve, 10));
      break;
    }
    yield { type: 'end', reason: 'failed', message: 'out of memory' };
  };
