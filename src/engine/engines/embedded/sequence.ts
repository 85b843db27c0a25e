/**
 * One request while it runs: its tokens, the blocks that hold them, and what was sampled and not yet sent.
 *
 * Invariants:
 * 1. Positions [0, computed) have keys and values in the blocks of `path`; computed <= length.
 * 2. It samples under the generation that it started under, until it ends.
 */

import type { PolicyVersion } from '../../../core/ids.ts';
import type { Weights } from '../../../native/native.ts';
import type { BlockNode } from '../../../trie/block-trie.ts';
import type { GenerateEvent, GenerateRequest } from '../../engine.ts';
import type { EventStream } from '../../event-stream.ts';

/** A snapshot that requests sample under, and the root of its cached prefixes. */
export interface Generation {
  readonly version: PolicyVersion;
  readonly weights: Weights;
  readonly root: BlockNode;
}

/** A request that was accepted and did not start. */
export interface Waiting {
  readonly request: GenerateRequest;
  readonly stream: EventStream;
  readonly onAbort: () => void;
  /** The running sequence that computes a prefix which this request shares, and how many tokens it waits for. */
  leader: { readonly sequence: Sequence; readonly tokens: number } | null;
}

const eventTokens = 8;

export class Sequence {
  readonly accepted: Waiting;
  readonly request: GenerateRequest;
  readonly generation: Generation;
  readonly promptLength: number;
  /** Length at which the completion ends, by tokens or by context. */
  readonly limit: number;
  readonly ids: Int32Array;
  readonly path: BlockNode[] = [];
  length: number;
  computed = 0;
  ended = false;
  readonly #logprobs: Float32Array;
  readonly #entropies: Float32Array;
  #sent: number;

  constructor(accepted: Waiting, generation: Generation, contextLength: number) {
    const { request } = accepted;
    this.accepted = accepted;
    this.request = request;
    this.generation = generation;
    this.promptLength = request.ids.length;
    this.limit = Math.min(contextLength, this.promptLength + request.sampling.maxTokens);
    this.ids = new Int32Array(this.limit);
    this.ids.set(request.ids);
    this.length = this.promptLength;
    this.#sent = this.promptLength;
    this.#logprobs = new Float32Array(this.limit - this.promptLength);
    this.#entropies = new Float32Array(this.limit - this.promptLength);
  }

  get prefilling(): boolean {
    return this.computed < this.promptLength;
  }

  /** Takes a drawn token, and ends when it is the last. */
  take(id: number, logprob: number, entropy: number): void {
    const index = this.length - this.promptLength;
    this.ids[this.length++] = id;
    this.#logprobs[index] = logprob;
    this.#entropies[index] = entropy;
    if (this.request.sampling.stopIds.includes(id)) this.end('stop');
    else if (this.length === this.limit) this.end('length');
    else if (this.length - this.#sent >= eventTokens) this.#send();
  }

  /** No effect on one that ended. */
  end(reason: 'stop' | 'length' | 'paused'): void {
    this.#close({ type: 'end', reason });
  }

  fail(message: string): void {
    this.#close({ type: 'end', reason: 'failed', message });
  }

  #close(event: GenerateEvent): void {
    if (this.ended) return;
    this.#send();
    this.ended = true;
    this.accepted.stream.push(event);
  }

  #send(): void {
    if (this.#sent === this.length) return;
    const from = this.#sent - this.promptLength;
    const to = this.length - this.promptLength;
    this.accepted.stream.push({
      type: 'tokens',
      ids: this.ids.slice(this.#sent, this.length),
      logprobs: this.#logprobs.slice(from, to),
      entropies: this.#entropies.slice(from, to),
      version: this.generation.version,
    });
    this.#sent = this.length;
  }
}
