/**
 * A sampler whose completions come from a function: the whole loop with real ids and no model.
 *
 * Log-probabilities and entropies are 0, as of a policy that is certain.
 */
import { messageOf } from '../../core/errors.ts';
import { type PolicyVersion, policyVersion } from '../../core/ids.ts';
import type { GenerateEvent, GenerateRequest, Sampler } from '../engine.ts';

export interface ScriptedOptions {
  readonly contextLength: number;
  readonly vocabSize: number;
  /** The completion of a prompt, stop id included where the script wants one. A throw becomes a `failed` end. */
  complete(prompt: Int32Array, request: GenerateRequest): Int32Array | Promise<Int32Array>;
  /** Tokens an event; 8 when not given. */
  readonly chunkTokens?: number;
}

export class ScriptedSampler implements Sampler {
  readonly contextLength: number;
  readonly vocabSize: number;
  readonly #options: ScriptedOptions;
  readonly #version: PolicyVersion = policyVersion(0);

  constructor(options: ScriptedOptions) {
    this.contextLength = options.contextLength;
    this.vocabSize = options.vocabSize;
    this.#options = options;
  }

  async *generate(request: GenerateRequest): AsyncGenerator<GenerateEvent, void, undefined> {
    let completion: Int32Array;
    try {
      completion = await this.#options.complete(request.ids, request);
    } catch (thrown) {
      yield { type: 'end', reason: 'failed', message: messageOf(thrown) };
      return;
    }
    const { sampling, signal } = request;
    const limit = Math.max(0, Math.min(sampling.maxTokens, this.contextLength - request.ids.length));
    const stop = completion.findIndex((id) => sampling.stopIds.includes(id));
    const stops = stop >= 0 && stop < limit;
    const ids = completion.subarray(0, stops ? stop + 1 : limit);
    const chunk = this.#options.chunkTokens ?? 8;
    for (let from = 0; from < ids.length; from += chunk) {
      if (signal?.aborted) break;
      yield this.#tokens(ids.slice(from, from + chunk));
    }
    if (signal?.aborted) yield { type: 'end', reason: 'failed', message: 'aborted by the caller' };
    else yield { type: 'end', reason: stops || completion.length < limit ? 'stop' : 'length' };
  }

  #tokens(ids: Int32Array): GenerateEvent {
    const zeros = () => new Float32Array(ids.length);
    return { type: 'tokens', ids, logprobs: zeros(), entropies: zeros(), version: this.#version };
  }
}
