/**
 * The engine as the rest of Espalier sees it: ids in, ids and log-probabilities out; a trie in, new weights out.
 *
 * Invariants:
 * 1. A stream ends with exactly one `end` event; the failure is in it, so consumers need no catch.
 * 2. What `generate` reports for a token under version v equals, bit for bit, what `score` and `train` of the same
 *    engine compute for it under v, whatever the batch, cache or thread count.
 * 3. Weights are immutable snapshots. A request samples under one version until it is paused.
 */
import type { PolicyVersion } from '../core/ids.ts';
import type { Truncation } from '../core/truncation.ts';

export interface Sampling {
  /** 0 is greedy. Log-probabilities are always reported at temperature 1, untruncated. */
  readonly temperature: number;
  /** Which tokens may be drawn at all; not given: every one. */
  readonly truncation?: Truncation;
  readonly maxTokens: number;
  /** Sampling one of these ends the completion; the id is part of it. */
  readonly stopIds: readonly number[];
}

export interface GenerateRequest {
  /** The whole prompt: shape [length], length >= 1. */
  readonly ids: Int32Array;
  readonly sampling: Sampling;
  /** Token i of the completion is drawn from hash(seed, prompt length + i). */
  readonly seed: bigint;
  readonly signal?: AbortSignal;
  /** Requests of one name begin alike: an engine of several machines keeps them on one, for its prefix cache. */
  readonly affinity?: string;
}

export type GenerateEvent =
  | {
      readonly type: 'tokens';
      readonly ids: Int32Array;
      readonly logprobs: Float32Array;
      /** Of the whole distribution at temperature 1, in nats; null where the engine gives none. */
      readonly entropies: Float32Array | null;
      readonly version: PolicyVersion;
    }
  | { readonly type: 'end'; readonly reason: 'stop' | 'length' | 'paused' }
  | { readonly type: 'end'; readonly reason: 'failed'; readonly message: string };

export interface Sampler {
  /** Tokens of the longest prompt plus completion. */
  readonly contextLength: number;
  readonly vocabSize: number;
  generate(request: GenerateRequest): AsyncIterable<GenerateEvent>;
}

/**
 * One optimizer step's work: a token trie in depth-first (pre-order) layout and what is learned on it.
 *
 * Span s holds tokens [spanStart[s], spanStart[s+1]); its parent is span `spanParent[s]` < s, or -1 for a root.
 * Every subtree is one contiguous range. A token's position id is its depth, never its index.
 * The `term*` arrays are parallel, one element a LossTerm (core/sample.ts), sorted by `termNode`.
 */
export interface TrieBatch {
  readonly tokens: Int32Array;
  readonly spanStart: Int32Array;
  readonly spanParent: Int32Array;
  readonly termNode: Int32Array;
  readonly termTarget: Int32Array;
  readonly termBehaviorLogprob: Float32Array;
  readonly termAPos: Float32Array;
  readonly termANeg: Float32Array;
  readonly termCount: Float32Array;
}

/**
 * `cross-entropy`: sum over terms of -count * logprob, divided by `normalizer`.
 * `clipped`: sum of -(aPos * min(r, 1 + clipHigh) + aNeg * max(r, 1 - clipLow)), r = exp(policy - behavior), divided by
 * `normalizer` (../docs: trie training).
 */
export type Objective =
  | { readonly kind: 'cross-entropy'; readonly normalizer: number }
  | { readonly kind: 'clipped'; readonly clipLow: number; readonly clipHigh: number; readonly normalizer: number };

/** How the update is made. Matrices (all two-dimensional weights but embeddings) may take Muon, the rest takes AdamW. */
export interface OptimizerStep {
  readonly matrices: 'adamw' | 'muon';
  /** Learning rate of this step for AdamW tensors, schedule applied. */
  readonly learningRate: number;
  /** Learning rate of this step for Muon tensors; unused with `matrices: 'adamw'`. */
  readonly muonLearningRate: number;
  readonly muonMomentum: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled: weights shrink by learningRate * weightDecay. Norm gains and biases are never decayed. */
  readonly weightDecay: number;
  /** Global-norm clip; Infinity is none. */
  readonly gradientClip: number;
}

export interface TrainRequest {
  readonly batch: TrieBatch;
  readonly objective: Objective;
  readonly optimizer: OptimizerStep;
}

export interface TrainResult {
  /** Version after the step. */
  readonly version: PolicyVersion;
  readonly loss: number;
  /** Before clipping. */
  readonly gradientNorm: number;
  /** policyLogprobs of this forward, one a term: shape [terms]. */
  readonly termLogprobs: Float32Array;
  /** Share of terms whose ratio lay outside the clip range on the side that clips; 0 for cross-entropy. */
  readonly clipFraction: number;
  readonly treeTokens: number;
}

export interface Trainer {
  train(request: TrainRequest): Promise<TrainResult>;
}

export interface Engine extends Sampler, Trainer {
  readonly version: PolicyVersion;
  /** Log-probability of each token after the first: flat, cold, batch 1, one thread. Shape [length - 1]. */
  score(ids: Int32Array): Promise<Float32Array>;
  /** Makes the trained weights the ones that new requests sample under; caches of the old version are dropped. */
  publish(): Promise<PolicyVersion>;
  /** Writes a Hugging Face folder (config, weights, tokenizer files carried along) and the optimizer's state beside it. */
  save(directory: string): Promise<void>;
  close(): Promise<void>;
}

/** What the sampler did since it was opened. Facts for reports; results never depend on them. */
export interface EngineStatistics {
  readonly requests: number;
  readonly promptTokens: number;
  /** Prompt tokens whose keys and values were in the prefix cache. */
  readonly reusedTokens: number;
  /** Positions that went through a forward: prompt and completion. */
  readonly computedTokens: number;
  readonly sampledTokens: number;
  /** Forward calls. */
  readonly steps: number;
  /** Memory of the prefix cache's blocks that hold something: never above its bound. */
  readonly cacheBytes: number;
  /** Blocks of cached prefixes that went, longest unused first, so that another could be had. */
  readonly evictedBlocks: number;
}

/** The identity of the trained weights. */
export interface Snapshot {
  readonly version: PolicyVersion;
  /** Hex, of model.safetensors as `save` writes it. */
  readonly sha256: string;
}

/** An engine that owns its weights and cache: embedded, or in a child process. */
export interface LocalEngine extends Engine {
  /** With 'weights' the folder is for users of the model; training goes on only from one with the optimizer. */
  save(directory: string, include?: 'weights' | 'weights and optimizer'): Promise<void>;
  /** Takes another checkpoint of the same shape as `version`; open requests end under their own snapshot. */
  load(directory: string, version: PolicyVersion, optimizer: 'fresh' | 'resume'): Promise<void>;
  /** Ends every running request with `paused` at its next token boundary; later ones wait for `resume`. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  statistics(): Promise<EngineStatistics>;
  snapshot(): Promise<Snapshot>;
}
