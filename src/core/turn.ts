import type { SessionId, TurnId } from './ids.ts';

/** Why a completion ended. `paused` never leaves the proxy: it resumes. */
export type FinishReason = 'stop' | 'length' | 'tool_calls';

/** `exact`: ids in, ids out. `observed`: the engine reported ids. `text`: never used for policy gradients. */
export type Fidelity = 'exact' | 'observed' | 'text';

/**
 * One request and its completion, in tokens: what the trainer learns from.
 *
 * `completion`, `behaviorLogprobs`, `entropies` and `versions` are aligned: element i belongs to sampled token i.
 */
export interface Turn {
  readonly id: TurnId;
  readonly session: SessionId;
  /** 0, 1, ... in the order in which the session's requests came. */
  readonly index: number;
  /** The exact ids that the sampler was given: shape [prompt length]. */
  readonly prompt: Int32Array;
  /** The exact ids that it sampled, stop token included: shape [completion length]. */
  readonly completion: Int32Array;
  /** Natural log, at temperature 1, untruncated. */
  readonly behaviorLogprobs: Float32Array;
  /** Entropy in nats of the distribution that each token was drawn from; NaN where the engine gave none. */
  readonly entropies: Float32Array;
  /** Policy version of each token. */
  readonly versions: Int32Array;
  readonly finishReason: FinishReason;
  readonly fidelity: Fidelity;
  readonly toolCallCount: number;
  /** Sampled tokens that had to be tokenised again to build this prompt: 0 for an `exact` turn. */
  readonly retokenizedSampledTokens: number;
}
