/**
 * The messages of the host protocol, version 1, and the blobs of each. The same words serve a child process and a
 * remote machine.
 *
 * Invariants:
 * 1. `call` numbers are the caller's, from 1, each used once. A `generate` is answered by `tokens`... and one `end`; a
 *    `method` by one `result` or `error`. `open` comes first and is answered by `opened` or by `error` with call 0.
 * 2. Numbers that JSON cannot carry (bigints, NaN, infinities) travel as text or in blobs.
 */
import type { Boundary } from '../core/errors.ts';
import { type PolicyVersion, policyVersion } from '../core/ids.ts';
import type {
  GenerateRequest,
  Objective,
  OptimizerStep,
  Sampling,
  TrainRequest,
  TrainResult,
  TrieBatch,
} from '../engine/engine.ts';
import type { EmbeddedOptions } from '../engine/engines/embedded.ts';
import type { Blob, Frame } from './frames.ts';

export const protocolVersion = 1;

/** Options of the engine behind the protocol; its model is a folder that the host's machine can read. */
export type HostedOptions = Omit<EmbeddedOptions, 'model'> & { readonly model: string };

export type Method =
  | 'score'
  | 'train'
  | 'publish'
  | 'save'
  | 'load'
  | 'pause'
  | 'resume'
  | 'statistics'
  | 'snapshot'
  | 'close';

export type ToEngine =
  | { readonly type: 'open'; readonly protocol: number; readonly options: HostedOptions }
  /** Blobs: ids. */
  | { readonly type: 'generate'; readonly call: number; readonly sampling: Sampling; readonly seed: string }
  | { readonly type: 'abort'; readonly call: number }
  /** Blobs: score: ids; train: the batch's arrays. */
  | { readonly type: 'method'; readonly call: number; readonly method: Method; readonly given: unknown };

export type FromEngine =
  | { readonly type: 'opened'; readonly version: number; readonly contextLength: number; readonly vocabSize: number }
  /** Blobs: ids, logprobs, and entropies where the engine gives them. */
  | { readonly type: 'tokens'; readonly call: number; readonly version: number }
  | { readonly type: 'end'; readonly call: number; readonly reason: 'stop' | 'length' | 'paused' }
  | { readonly type: 'end'; readonly call: number; readonly reason: 'failed'; readonly message: string }
  /** `version` is what new requests sample under. Blobs: score: logprobs; train: figures and termLogprobs. */
  | { readonly type: 'result'; readonly call: number; readonly version: number; readonly value: unknown }
  | { readonly type: 'error'; readonly call: number; readonly boundary: Boundary; readonly message: string };

/** Inputs of `save` and `load`. */
export interface SaveInput {
  readonly directory: string;
  readonly include: 'weights' | 'weights and optimizer';
}
export interface LoadInput {
  readonly directory: string;
  readonly version: number;
  readonly optimizer: 'fresh' | 'resume';
}

const batchColumns = [
  'tokens',
  'spanStart',
  'spanParent',
  'termNode',
  'termTarget',
  'termBehaviorLogprob',
  'termAPos',
  'termANeg',
  'termCount',
] as const satisfies readonly (keyof TrieBatch)[];

interface TrainInput {
  readonly objective: Objective;
  readonly optimizer: OptimizerStep;
  readonly clips: boolean;
}

export function packTrain({ batch, objective, optimizer }: TrainRequest): { given: unknown; blobs: readonly Blob[] } {
  const given: TrainInput = { objective, optimizer, clips: Number.isFinite(optimizer.gradientClip) };
  return { given, blobs: batchColumns.map((column) => batch[column]) };
}

export function unpackTrain(given: unknown, blobs: readonly Blob[]): TrainRequest {
  const { objective, optimizer, clips } = given as TrainInput;
  const columns = Object.fromEntries(batchColumns.map((column, i) => [column, blobs[i]]));
  return {
    batch: columns as unknown as TrieBatch,
    objective,
    optimizer: clips ? optimizer : { ...optimizer, gradientClip: Number.POSITIVE_INFINITY },
  };
}

export function packTrainResult(result: TrainResult): { value: unknown; blobs: readonly Blob[] } {
  const figures = Float64Array.of(result.loss, result.gradientNorm, result.clipFraction);
  return { value: { version: result.version, treeTokens: result.treeTokens }, blobs: [figures, result.termLogprobs] };
}

export function unpackTrainResult(value: unknown, blobs: readonly Blob[]): TrainResult {
  const { version, treeTokens } = value as { version: PolicyVersion; treeTokens: number };
  const [loss, gradientNorm, clipFraction] = blobs[0] as Float64Array;
  return {
    version: policyVersion(version),
    loss: loss as number,
    gradientNorm: gradientNorm as number,
    clipFraction: clipFraction as number,
    termLogprobs: blobs[1] as Float32Array,
    treeTokens,
  };
}

export function packGenerate(call: number, { ids, sampling, seed }: GenerateRequest): Frame {
  const message: ToEngine = { type: 'generate', call, sampling, seed: String(seed) };
  return { message, blobs: [ids] };
}
