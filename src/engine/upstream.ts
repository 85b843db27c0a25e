/**
 * A sampler that runs on a server of someone else's, vLLM or SGLang: it can be lost and come back, and its weights are
 * replaced from a checkpoint folder that both machines see.
 *
 * Not a trainer. Equal requests need not get equal bits: that is the server's to promise.
 *
 * Invariants:
 * 1. A request samples under one version. A pause ends it with `paused` and what it has; keys and values of old weights
 *    are never continued from.
 * 2. When the server crashes, drops a connection or falls silent, `alive` is false, and every request that was open has
 *    ended with `failed`. A request that the server refuses fails alone, and leaves it alive.
 */
import type { PolicyVersion } from '../core/ids.ts';
import type { Sampler, Sampling } from './engine.ts';

/** How tokens are drawn, without what ends a completion. */
export type Drawing = Pick<Sampling, 'temperature' | 'truncation'>;

export interface Upstream extends Sampler {
  /** Its address, for messages. */
  readonly name: string;
  /** Of the weights that new requests sample under. */
  readonly version: PolicyVersion;
  /** False from a fault until `recover` succeeded. */
  readonly alive: boolean;
  /** Why what is drawn so cannot be recorded at temperature 1, untruncated, as engine.ts has it; null: it can. */
  problemOf(drawing: Drawing): string | null;
  /** Resolves when the server serves again, under `version`. Throws EspalierError('engine') while it does not. */
  recover(): Promise<void>;
  /** Ends every open request with `paused`; later ones wait for `resume`. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /**
   * Samples under the weights of a folder from now on; open requests end with `paused`. A lost server takes them when it
   * recovers. Throws EspalierError: 'checkpoint' for a folder that holds no weights, 'config' for a server that takes
   * none, 'engine' when it fails, which it is then lost by.
   */
  load(directory: string, version: PolicyVersion): Promise<void>;
  close(): Promise<void>;
}
