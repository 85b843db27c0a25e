/**
 * What differs between the servers that an upstream engine speaks to. One file a kind: ../vllm.ts, ../sglang.ts.
 *
 * Invariant: a protocol says how something is asked and read; when, and what a failure means, is upstream-engine.ts's.
 */
import { noTruncation } from '../../../core/truncation.ts';
import type { GenerateRequest } from '../../engine.ts';
import type { Drawing } from '../../upstream.ts';
import type { UpstreamServer } from './server.ts';

/** What a server may take to sample a first token: one that is paused never does. */
export const probeMs = 120_000;

export type UpstreamKind = 'vllm' | 'sglang';

/** Top-k, top-p and min-p in the words of both servers; they say nothing of what is greedy. */
export function filtersOf({ temperature, truncation = noTruncation }: Drawing) {
  const { topK, topP, minP } = temperature === 0 ? noTruncation : truncation;
  return { top_p: topP, top_k: topK === 0 ? -1 : topK, min_p: minP };
}

/** What one event of a stream adds. */
export interface Piece {
  readonly ids: readonly number[];
  readonly logprobs: readonly number[];
  /** `aborted`: the server ended it for someone else's reason, such as a pause. */
  readonly end: 'stop' | 'length' | 'aborted' | null;
  /** What the server calls the weights that sampled it; null where it does not say. */
  readonly weights: string | null;
}

export interface ServerWeights {
  /** What the server calls them; null where it does not say. */
  readonly label: string | null;
  /** Whether it can be paused and given others. */
  readonly replaceable: boolean;
}

export interface UpstreamProtocol {
  readonly kind: UpstreamKind;
  /** Of the context that the server names, what it never fills. */
  readonly reservedTokens: number;
  readonly generatePath: string;
  /** `request.sampling.maxTokens` fits into the context. */
  generateBody(request: GenerateRequest, model: string): unknown;
  /** A reader of one stream's events. Throws ServerFault for what it cannot read. */
  reader(): (event: unknown) => Piece;
  /**
   * Samples one token and gives the greatest log-probability that is reported for its place: what shows whether a server
   * reports log-probabilities of what it draws from. Throws ServerFault when there are none, or no ids.
   */
  greatestLogprob(server: UpstreamServer, model: string, drawing: Drawing): Promise<number>;
  weights(server: UpstreamServer): Promise<ServerWeights>;
  pause(server: UpstreamServer): Promise<void>;
  resume(server: UpstreamServer): Promise<void>;
  /** While paused. The server's caches of the old weights are dropped. */
  load(server: UpstreamServer, directory: string, label: string): Promise<void>;
  /** How a server is started so that it can do what it was asked for and could not. */
  readonly wayOut: { readonly replaceable: string; readonly plainLogprobs: string };
}
