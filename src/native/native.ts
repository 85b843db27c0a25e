/**
 * The whole native boundary. The C++ table (native/binding) has the same names in the same order; neither side holds
 * logic, defaults or validation. Shapes: B sequences, T tokens of all sequences together.
 */
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { EspalierError } from '../core/errors.ts';

/** `rope_type` llama3: low frequencies are divided by `factor`, high ones stay, those between go over smoothly. */
export interface Llama3Scaling {
  readonly factor: number;
  readonly lowFrequencyFactor: number;
  readonly highFrequencyFactor: number;
  /** Positions that the model was trained on before its frequencies were scaled. */
  readonly originalContextLength: number;
}

/** Shape of a Llama, Qwen2 or Qwen3 model. `headDim` may differ from hiddenSize / headCount. */
export interface ModelShape {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layerCount: number;
  readonly headCount: number;
  readonly kvHeadCount: number;
  readonly headDim: number;
  readonly ropeTheta: number;
  /** Not given: frequencies are not scaled. */
  readonly ropeScaling?: Llama3Scaling;
  readonly normEpsilon: number;
  readonly tiedEmbeddings: boolean;
  readonly qkNorm: boolean;
  /** Projections of attention that add a bias: q, k, v (Qwen2), or o too. Not given: none. */
  readonly attentionBias?: 'qkv' | 'qkvo';
  /** Longest position + 1: sizes the RoPE tables. */
  readonly contextLength: number;
}

declare const handle: unique symbol;
interface Handle<Kind extends string> {
  readonly [handle]: Kind;
}
/** An immutable snapshot of weights, packed for the kernels. Freed by the garbage collector. */
export type Weights = Handle<'weights'>;
/** Key/value blocks of `cacheBlockTokens` positions each. Never shared between calls that run at once. */
export type Cache = Handle<'cache'>;
/** Weights under training, their gradients and the optimizer's state. */
export type TrainerState = Handle<'trainer'>;

/** Named float32 tensors, Hugging Face names and row-major shapes. */
export interface Tensors {
  readonly names: readonly string[];
  readonly data: readonly Float32Array[];
}

/** One step of continuous batching: sequence b brings tokens [tokenStart[b], tokenStart[b+1]). */
export interface ForwardPlan {
  /** [T] */
  readonly tokens: Int32Array;
  /** [B + 1] */
  readonly tokenStart: Int32Array;
  /** [B]: position id of the sequence's first new token = tokens that its blocks hold already. */
  readonly firstPosition: Int32Array;
  /** [B + 1], into `blocks`. */
  readonly blockStart: Int32Array;
  /** Block numbers, in position order, that hold (and will hold) each sequence. */
  readonly blocks: Int32Array;
  /** [B]: 1 draws a token from the logits of the sequence's last new token. */
  readonly draw: Uint8Array;
  /** [B]: 0 is greedy. */
  readonly temperature: Float32Array;
  /** [B] each, as Truncation (src/core/truncation.ts): 0, 1 and 0 keep every token. */
  readonly topK: Int32Array;
  readonly topP: Float32Array;
  readonly minP: Float32Array;
  /** [B]: the token at position p is drawn from hash(seed, p). */
  readonly seed: BigUint64Array;
}

export interface ForwardResult {
  /** [B]: -1 where nothing was drawn. */
  readonly ids: Int32Array;
  /** [B]: at temperature 1, untruncated. */
  readonly logprobs: Float32Array;
  /** [B]: nats. */
  readonly entropies: Float32Array;
}

/** Flat form of TrieBatch + Objective + OptimizerStep (src/engine/engine.ts), which says what the fields mean. */
export interface TrainPlan {
  readonly tokens: Int32Array;
  readonly spanStart: Int32Array;
  readonly spanParent: Int32Array;
  readonly termNode: Int32Array;
  readonly termTarget: Int32Array;
  readonly termBehaviorLogprob: Float32Array;
  readonly termAPos: Float32Array;
  readonly termANeg: Float32Array;
  readonly termCount: Float32Array;
  readonly objective: 'cross-entropy' | 'clipped';
  readonly normalizer: number;
  readonly clipLow: number;
  readonly clipHigh: number;
  readonly matrices: 'adamw' | 'muon';
  readonly learningRate: number;
  readonly muonLearningRate: number;
  readonly muonMomentum: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly gradientClip: number;
}

export interface TrainOutcome {
  readonly loss: number;
  readonly gradientNorm: number;
  readonly clipFraction: number;
  /** Tokens whose forward ran: those of the trie, since nothing is computed twice. */
  readonly forwardTokens: number;
  /** Matrix calls a layer: spans in pieces of at most 128 tokens, short siblings together. */
  readonly pieces: number;
  /** [terms] */
  readonly termLogprobs: Float32Array;
}

/** The table. Promises settle when the work, done off the JavaScript thread, is over; they reject with one clear line. */
export interface Native {
  /** `avx512`, `avx2` or `portable`: the best that the machine has, or what ESPALIER_ISA names. */
  instructionSet(): string;
  /** Size of the own thread pool; results never depend on it. */
  setThreads(count: number): void;
  cacheBlockTokens(): number;
  /** Memory that a block takes, in all layers, padding included. */
  cacheBlockBytes(shape: ModelShape): number;
  createWeights(shape: ModelShape, tensors: Tensors): Weights;
  exportWeights(weights: Weights): Tensors;
  createCache(shape: ModelShape, blockCount: number): Cache;
  /** Copies the first `tokenCount` positions of a block, for a prefix that ends inside one. */
  copyBlock(cache: Cache, from: number, to: number, tokenCount: number): void;
  forward(weights: Weights, cache: Cache, plan: ForwardPlan): Promise<ForwardResult>;
  /** [length - 1]. One thread, no cache. */
  score(weights: Weights, ids: Int32Array): Promise<Float32Array>;
  /** [length, vocabSize], row-major: for parity checks. */
  logits(weights: Weights, ids: Int32Array): Promise<Float32Array>;
  createTrainer(weights: Weights): TrainerState;
  /** Keeps the gradient; the next call's is added to it. `gradientNorm` is the sum's; no weight changes. */
  accumulate(trainer: TrainerState, plan: TrainPlan): Promise<TrainOutcome>;
  /** One step with the plan's gradient and what was accumulated. */
  train(trainer: TrainerState, plan: TrainPlan): Promise<TrainOutcome>;
  /** Loss gradients alone, no update: for tests. Same names and shapes as the weights. */
  gradients(trainer: TrainerState, plan: TrainPlan): Promise<Tensors>;
  /** A new immutable snapshot of the trained weights. */
  trainedWeights(trainer: TrainerState): Weights;
  /** Moments and the step count, bit for bit. */
  exportOptimizer(trainer: TrainerState): Tensors;
  importOptimizer(trainer: TrainerState, tensors: Tensors): void;
}

/** `ESPALIER_ADDONS` names another folder of addons: scripts/sanitize.ts runs the tests on sanitized ones. */
export function addonPath(name: 'espalier' | 'kernel-bench' | 'kernel-test' | 'espalier-test'): string {
  return resolve(process.env['ESPALIER_ADDONS'] ?? join(import.meta.dirname, '../../native/build'), `${name}.node`);
}

export function loadAddon(name: Parameters<typeof addonPath>[0]): unknown {
  return createRequire(import.meta.url)(addonPath(name));
}

/** The table, on the instruction set that ESPALIER_ISA names, or else the best. Throws when one is missing. */
export function loadNative(): Native {
  let native: Native;
  try {
    native = loadAddon('espalier') as Native;
  } catch (cause) {
    throw new Error('the native engine is not built: run `npm run build:native` (needs a C++20 compiler)', { cause });
  }
  const wanted = process.env['ESPALIER_ISA'];
  const used = native.instructionSet();
  if (wanted && wanted !== used) {
    throw new EspalierError(
      'config',
      `ESPALIER_ISA is ${JSON.stringify(wanted)}, which this machine does not have: set avx512, avx2 or portable, or leave it unset (here: ${used})`,
    );
  }
  return native;
}
