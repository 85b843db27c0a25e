/**
 * The engine of the house: samples, scores and trains on this machine's CPU through the native kernels.
 *
 * It runs in whatever process opens it; `src/host` puts it into a child process, since native code can crash.
 *
 * Invariants:
 * 1. `version` is what new requests sample under and `score` computes under; training runs ahead of it until `publish`.
 * 2. Weights are immutable: a request that runs keeps its snapshot, and cached prefixes never cross versions.
 * 3. Training steps run one after another, in the order of their calls.
 */
import { boundaryOf, EspalierError, messageOf } from '../../core/errors.ts';
import { type PolicyVersion, policyVersion } from '../../core/ids.ts';
import { noTruncation, problemOfTruncation } from '../../core/truncation.ts';
import {
  loadNative,
  type ModelShape,
  type Native,
  type TrainerState,
  type TrainOutcome,
  type TrainPlan,
  type Weights,
} from '../../native/native.ts';
import { type Checkpoint, readCheckpoint, snapshotSha256, writeCheckpoint } from '../checkpoint.ts';
import type {
  EngineStatistics,
  GenerateEvent,
  GenerateRequest,
  LocalEngine,
  Snapshot,
  TrainRequest,
  TrainResult,
} from '../engine.ts';
import { EventStream } from '../event-stream.ts';
import { splitBatch } from '../split-batch.ts';
import { checkBatch, checkIds, trainPlan } from '../trie-batch.ts';
import { PrefixCache } from './embedded/prefix-cache.ts';
import { Scheduler } from './embedded/scheduler.ts';
import type { Generation } from './embedded/sequence.ts';

export interface EmbeddedOptions {
  /** A model folder, or a checkpoint in memory. */
  readonly model: string | Checkpoint;
  /** What the checkpoint's weights are called; 0 when not given. */
  readonly version?: number;
  /** `resume` takes the optimizer's state from the checkpoint, and fails when it has none. Not given: `fresh`. */
  readonly optimizer?: 'fresh' | 'resume';
  /** Threads of the native pool; not given: the native side's own choice. */
  readonly threads?: number;
  /** A shorter context than the model's. */
  readonly contextLength?: number;
  /** Tokens of one forward call; 512 when not given. */
  readonly stepTokens?: number;
  /** Sequences that run at once; 64 when not given. */
  readonly maxSequences?: number;
  /** Most bytes of the key/value cache; not given: 256 MiB, or less when 512 whole contexts need less. */
  readonly cacheBytes?: number;
  /**
   * Trie tokens of one training pass; not given: no limit, as memory grows with the longest path, not with the trie. A
   * larger batch is split between its trees and the gradients are summed: the same step, up to the order of that sum.
   */
  readonly maxTrieTokens?: number;
  /** The same in blocks of `cacheBlockTokens` positions; where both are given, the smaller. */
  readonly cacheBlocks?: number;
}

const defaultCacheBytes = 256 * 2 ** 20;

/** Throws `checkpoint`, `config` or `engine` errors of one line. */
export async function openEmbedded(options: EmbeddedOptions, given?: Native): Promise<EmbeddedEngine> {
  const native = given ?? loadEngine();
  const checkpoint = typeof options.model === 'string' ? await readCheckpoint(options.model) : options.model;
  if (options.threads !== undefined) native.setThreads(options.threads);
  try {
    return new EmbeddedEngine(native, checkpoint, options);
  } catch (cause) {
    if (cause instanceof EspalierError) throw cause;
    throw new EspalierError('engine', `the engine cannot take the model: ${messageOf(cause)}`, { cause });
  }
}

export class EmbeddedEngine implements LocalEngine {
  readonly contextLength: number;
  readonly vocabSize: number;
  readonly #native: Native;
  readonly #shape: ModelShape;
  readonly #maxTrieTokens: number;
  readonly #prefixes: PrefixCache;
  readonly #scheduler: Scheduler;
  #checkpoint: Checkpoint;
  #generation: Generation;
  #trainer: TrainerState | null = null;
  #trainedVersion: PolicyVersion;
  /** Settles when the training work handed in so far is over; never rejects. */
  #training: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(native: Native, checkpoint: Checkpoint, options: EmbeddedOptions) {
    this.#native = native;
    this.#checkpoint = checkpoint;
    const { shape } = checkpoint;
    this.contextLength = Math.min(shape.contextLength, options.contextLength ?? shape.contextLength);
    this.vocabSize = shape.vocabSize;
    this.#shape = { ...shape, contextLength: this.contextLength };
    this.#maxTrieTokens = options.maxTrieTokens ?? Number.POSITIVE_INFINITY;
    this.#prefixes = new PrefixCache(native, this.#shape, cacheBlockCount(native, this.#shape, options));
    this.#trainedVersion = policyVersion(options.version ?? 0);
    const weights = native.createWeights(this.#shape, checkpoint.weights);
    this.#generation = { version: this.#trainedVersion, weights, root: this.#prefixes.openRoot() };
    if (options.optimizer === 'resume') this.#resumeOptimizer(checkpoint);
    this.#scheduler = new Scheduler(native, this.#prefixes, this.#generation, {
      contextLength: this.contextLength,
      stepTokens: options.stepTokens ?? 512,
      maxSequences: options.maxSequences ?? 64,
    });
  }

  get version(): PolicyVersion {
    return this.#generation.version;
  }

  generate(request: GenerateRequest): AsyncIterable<GenerateEvent> {
    const stream = new EventStream(() => this.#scheduler.noticeAbort());
    const problem = this.#problemOf(request);
    if (problem !== null) stream.push({ type: 'end', reason: 'failed', message: problem });
    else if (request.ids.length >= this.contextLength) stream.push({ type: 'end', reason: 'length' });
    else this.#scheduler.submit(request, stream);
    return stream;
  }

  async score(ids: Int32Array): Promise<Float32Array> {
    this.#checkOpen();
    checkIds(ids, this.vocabSize, 'token');
    if (ids.length < 2 || ids.length > this.contextLength) {
      throw new EspalierError('engine', `score takes 2 to ${this.contextLength} tokens, not ${ids.length}`);
    }
    return this.#guard('score', () => this.#native.score(this.#generation.weights, ids));
  }

  async train(request: TrainRequest): Promise<TrainResult> {
    this.#checkOpen();
    checkBatch(request.batch, this.#shape);
    const parts = splitBatch(request.batch, this.#maxTrieTokens).map((batch) => trainPlan({ ...request, batch }));
    return this.#inOrder(async () => {
      this.#trainer ??= this.#native.createTrainer(this.#generation.weights);
      const trainer = this.#trainer;
      const outcome = await this.#guard('train', () => trainInParts(this.#native, trainer, parts));
      this.#trainedVersion = policyVersion(this.#trainedVersion + 1);
      const { loss, gradientNorm, clipFraction, termLogprobs } = outcome;
      const treeTokens = request.batch.tokens.length;
      return { version: this.#trainedVersion, loss, gradientNorm, clipFraction, termLogprobs, treeTokens };
    });
  }

  async publish(): Promise<PolicyVersion> {
    this.#checkOpen();
    return this.#inOrder(async () => {
      if (this.#trainedVersion !== this.#generation.version) this.#sampleUnder(this.#trainedWeights());
      return this.version;
    });
  }

  async save(directory: string, include: 'weights' | 'weights and optimizer' = 'weights and optimizer'): Promise<void> {
    this.#checkOpen();
    const trained = await this.#inOrder(async () => this.#trainedCheckpoint(include));
    await writeCheckpoint(directory, trained);
  }

  async load(directory: string, version: PolicyVersion, optimizer: 'fresh' | 'resume'): Promise<void> {
    this.#checkOpen();
    const checkpoint = await readCheckpoint(directory);
    if (!isSameShape(checkpoint.shape, this.#checkpoint.shape)) {
      throw new EspalierError('checkpoint', `${directory} holds a model of another shape; open an engine of its own`);
    }
    await this.#inOrder(async () => {
      const weights = this.#native.createWeights(this.#shape, checkpoint.weights);
      this.#checkpoint = checkpoint;
      this.#trainedVersion = version;
      this.#trainer = null;
      this.#sampleUnder(weights);
      if (optimizer === 'resume') this.#resumeOptimizer(checkpoint);
    });
  }

  async pause(): Promise<void> {
    await this.#scheduler.pause();
  }

  async resume(): Promise<void> {
    this.#scheduler.resume();
  }

  async statistics(): Promise<EngineStatistics> {
    return this.#scheduler.statistics;
  }

  async snapshot(): Promise<Snapshot> {
    this.#checkOpen();
    return this.#inOrder(async () => ({
      version: this.#trainedVersion,
      sha256: snapshotSha256(this.#trainedCheckpoint('weights')),
    }));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#scheduler.close();
    await this.#training;
  }

  #sampleUnder(weights: Weights): void {
    this.#generation = { version: this.#trainedVersion, weights, root: this.#prefixes.openRoot() };
    this.#scheduler.use(this.#generation);
  }

  #trainedWeights(): Weights {
    return this.#trainer === null ? this.#generation.weights : this.#native.trainedWeights(this.#trainer);
  }

  #trainedCheckpoint(include: 'weights' | 'weights and optimizer'): Checkpoint {
    const withOptimizer = include === 'weights and optimizer' && this.#trainer !== null;
    return {
      ...this.#checkpoint,
      weights: this.#native.exportWeights(this.#trainedWeights()),
      optimizer: withOptimizer ? this.#native.exportOptimizer(this.#trainer as TrainerState) : null,
    };
  }

  #resumeOptimizer(checkpoint: Checkpoint): void {
    if (checkpoint.optimizer === null) {
      const wayOut = 'save it with the optimizer, or start with a fresh one';
      throw new EspalierError('checkpoint', `the checkpoint has no optimizer.safetensors to resume from; ${wayOut}`);
    }
    this.#trainer = this.#native.createTrainer(this.#generation.weights);
    this.#native.importOptimizer(this.#trainer, checkpoint.optimizer);
  }

  #problemOf({ ids, sampling }: GenerateRequest): string | null {
    if (this.#closed) return 'the engine was closed';
    if (ids.length === 0) return 'a prompt needs at least one token';
    if (!Number.isInteger(sampling.maxTokens) || sampling.maxTokens < 1) {
      return `maxTokens is ${sampling.maxTokens}; it must be a whole number from 1`;
    }
    if (!(sampling.temperature >= 0)) return `temperature is ${sampling.temperature}; it must be 0 or more`;
    const truncation = problemOfTruncation(sampling.truncation ?? noTruncation);
    if (truncation !== null) return truncation;
    try {
      checkIds(ids, this.vocabSize, 'prompt token');
      return null;
    } catch (thrown) {
      return messageOf(thrown);
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw new EspalierError('engine', 'the engine was closed');
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#training.then(work);
    this.#training = result.catch(() => undefined);
    return result;
  }

  async #guard<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      throw new EspalierError('engine', `${what} failed: ${messageOf(cause)}`, { cause });
    }
  }
}

/** One step on all parts; a part that fails drops what those before it gave. */
async function trainInParts(
  native: Native,
  trainer: TrainerState,
  parts: readonly TrainPlan[],
): Promise<Pick<TrainOutcome, 'loss' | 'gradientNorm' | 'clipFraction' | 'termLogprobs'>> {
  const outcomes: TrainOutcome[] = [];
  for (const [i, part] of parts.entries()) {
    outcomes.push(await (i < parts.length - 1 ? native.accumulate(trainer, part) : native.train(trainer, part)));
  }
  const terms = outcomes.reduce((sum, { termLogprobs }) => sum + termLogprobs.length, 0);
  const termLogprobs = new Float32Array(terms);
  let at = 0;
  for (const outcome of outcomes) {
    termLogprobs.set(outcome.termLogprobs, at);
    at += outcome.termLogprobs.length;
  }
  return {
    loss: outcomes.reduce((sum, { loss }) => sum + loss, 0),
    gradientNorm: (outcomes.at(-1) as TrainOutcome).gradientNorm,
    clipFraction: outcomes.reduce((sum, it) => sum + it.clipFraction * it.termLogprobs.length, 0) / terms,
    termLogprobs,
  };
}

function loadEngine(): Native {
  try {
    return loadNative();
  } catch (cause) {
    throw new EspalierError(boundaryOf(cause, 'engine'), messageOf(cause), { cause });
  }
}

function cacheBlockCount(
  native: Native,
  shape: ModelShape,
  { cacheBytes, cacheBlocks }: Pick<EmbeddedOptions, 'cacheBytes' | 'cacheBlocks'>,
): number {
  const oneContext = Math.ceil(shape.contextLength / native.cacheBlockTokens());
  const blockBytes = native.cacheBlockBytes(shape);
  const needs = (what: string, least: number) =>
    new EspalierError('config', `${what}; one context of ${shape.contextLength} needs ${least}`);
  if (cacheBlocks !== undefined && cacheBlocks < oneContext) throw needs(`cacheBlocks is ${cacheBlocks}`, oneContext);
  if (cacheBytes !== undefined && !(cacheBytes >= oneContext * blockBytes)) {
    throw needs(`cacheBytes is ${cacheBytes}`, oneContext * blockBytes);
  }
  if (cacheBytes === undefined && cacheBlocks === undefined) {
    return Math.max(oneContext, Math.min(512 * oneContext, Math.floor(defaultCacheBytes / blockBytes)));
  }
  return Math.min(cacheBlocks ?? Infinity, Math.floor((cacheBytes ?? Infinity) / blockBytes));
}

function isSameShape(a: ModelShape, b: ModelShape): boolean {
  return JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b).sort());
}
