/**
 * `import { loadModel } from 'espalier/engine'`: the engine alone, without proxy, store or tasks.
 *
 * It runs in a child process. What it samples is, bit for bit, what it scores and what it trains on.
 * Examples of every call: docs/engine.md.
 */
import { EspalierError } from '../core/errors.ts';
import { noTruncation } from '../core/truncation.ts';
import type { FinishReason } from '../core/turn.ts';
import type { OptimizerStep, TrainResult } from '../engine/engine.ts';
import { createEngineHost, type EngineHost } from '../host/engine-host.ts';
import { type LearnedRollout, lossBatch, type SharedTokens } from '../learn/loss-terms.ts';
import { type ClipOptions, clippedObjective } from '../learn/objectives.ts';
import { reinforcementOptimizer, supervisedOptimizer } from '../learn/optimizer.ts';
import { type Demonstration, sftBatch } from '../learn/stages/sft.ts';
import { loadTokenizer } from '../tokens/load.ts';
import type { Tokenizer } from '../tokens/tokenizer.ts';

export type { ClipOptions, Demonstration, OptimizerStep, SharedTokens };

export interface ModelOptions {
  /** Worker threads of the engine. Default 2. Results never depend on it. */
  readonly threads?: number;
  /** Most bytes of the key-value prefix cache. Default 256 MiB, or less when 512 whole contexts need less. */
  readonly cacheBytes?: number;
  /** The same in blocks of 64 tokens; where both are given, the smaller. */
  readonly cacheBlocks?: number;
}

export interface SampleOptions {
  /** Shape [length], at least one id. */
  readonly prompt: Int32Array;
  readonly maxTokens: number;
  /** 0 is greedy. Default 1. */
  readonly temperature?: number;
  /** Filters of the draw, in this order; log-probabilities stay those of the whole distribution. Default every token. */
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  /** Ids that end the completion and are part of it. Default none. */
  readonly stopIds?: readonly number[];
  /** Token i is drawn from hash(seed, prompt length + i). Default 0. */
  readonly seed?: bigint;
  readonly signal?: AbortSignal;
}

/** Arrays have shape [sampled tokens]. */
export interface SampledIds {
  readonly ids: Int32Array;
  /** In nats, at temperature 1, whatever the sampling temperature. */
  readonly logprobs: Float32Array;
  /** Of the whole next-token distribution at temperature 1, in nats. */
  readonly entropies: Float32Array;
  readonly reason: Exclude<FinishReason, 'tool_calls'>;
}

/** What was sampled in one go: turns that extend each other share their tokens, and so do rollouts. */
export interface Rollout {
  readonly turns: readonly {
    /** The exact ids that were sampled from: shape [length]. */
    readonly prompt: Int32Array;
    readonly sampled: Pick<SampledIds, 'ids' | 'logprobs' | 'entropies'>;
  }[];
  readonly advantage: number;
}

/** One optimizer step. */
export interface StepResult extends Pick<TrainResult, 'loss' | 'gradientNorm' | 'clipFraction' | 'treeTokens'> {
  /** Tokens of the sequences, each in full: what training without the trie would compute. */
  readonly flatTokens: number;
}

export interface RolloutStepOptions extends Partial<ClipOptions> {
  /** Fields that differ from AdamW at 3e-4. */
  readonly optimizer?: Partial<OptimizerStep>;
  /** How a token on several trajectories of a rollout weighs. Default `per-branch`. */
  readonly sharedTokens?: SharedTokens;
}

export interface Model {
  readonly tokenizer: Tokenizer;
  /** Tokens of the longest prompt plus completion. */
  readonly contextLength: number;
  readonly vocabSize: number;
  /** Calls may overlap: they are batched. Throws EspalierError('engine') for impossible ids. */
  sample(options: SampleOptions): Promise<SampledIds>;
  /** Log-probability in nats of each token after the first, shape [length - 1]. Flat, cold, one thread. */
  score(ids: Int32Array): Promise<Float32Array>;
  /** One step of weighted cross-entropy on the trie of the demonstrations; default Muon 0.02 and AdamW 3e-3. */
  trainOnDemonstrations(
    demonstrations: readonly Demonstration[],
    optimizer?: Partial<OptimizerStep>,
  ): Promise<StepResult>;
  /** One clipped policy-gradient step, a mean over sampled tokens, on the trie of the rollouts. */
  trainOnRollouts(rollouts: readonly Rollout[], options?: RolloutStepOptions): Promise<StepResult>;
  /** Writes a Hugging Face folder and the optimizer's state beside it. */
  save(directory: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * Loads a Hugging Face folder. Each step's weights are the ones that later calls sample and score under.
 *
 * Throws EspalierError('checkpoint') naming the file or field that cannot be used.
 */
export async function loadModel(directory: string, options: ModelOptions = {}): Promise<Model> {
  const tokenizer = await loadTokenizer(directory);
  const engine = await createEngineHost({
    model: directory,
    threads: options.threads ?? 2,
    ...(options.cacheBytes !== undefined && { cacheBytes: options.cacheBytes }),
    ...(options.cacheBlocks !== undefined && { cacheBlocks: options.cacheBlocks }),
  });
  return {
    tokenizer,
    contextLength: engine.contextLength,
    vocabSize: engine.vocabSize,
    sample: (request) => sample(engine, request),
    score: (ids) => engine.score(ids),
    trainOnDemonstrations: async (demonstrations, optimizer) => {
      const { batch, objective, flatTokens } = sftBatch(demonstrations);
      const { schedule: _, ...defaults } = supervisedOptimizer;
      const result = await engine.train({ batch, objective, optimizer: { ...defaults, ...optimizer } });
      await engine.publish();
      return stepResult(result, flatTokens);
    },
    trainOnRollouts: async (rollouts, { optimizer, sharedTokens, clipLow = 0.2, clipHigh = 0.28 } = {}) => {
      const { batch, figures } = lossBatch(rollouts.map(learned), sharedTokens);
      const { schedule: _, ...defaults } = reinforcementOptimizer;
      const result = await engine.train({
        batch,
        objective: clippedObjective(figures.sampledTokens, { clipLow, clipHigh }),
        optimizer: { ...defaults, ...optimizer },
      });
      await engine.publish();
      return stepResult(result, figures.flatTokensMerged);
    },
    save: (folder) => engine.save(folder),
    close: () => engine.close(),
  };
}

async function sample(engine: EngineHost, options: SampleOptions): Promise<SampledIds> {
  const { prompt, maxTokens, temperature = 1, stopIds = [], seed = 0n, signal } = options;
  const ids: number[] = [];
  const logprobs: number[] = [];
  const entropies: number[] = [];
  const { topK, topP, minP } = { ...noTruncation, ...options };
  const truncation = { topK, topP, minP };
  const sampling = { temperature, truncation, maxTokens, stopIds };
  const request = { ids: prompt, sampling, seed, ...(signal && { signal }) };
  for await (const event of engine.generate(request)) {
    if (event.type === 'tokens') {
      ids.push(...event.ids);
      logprobs.push(...event.logprobs);
      entropies.push(...(event.entropies ?? event.logprobs.map(() => Number.NaN)));
    } else if (event.reason === 'failed') throw new EspalierError('engine', event.message);
    else if (event.reason !== 'paused') {
      return {
        ids: Int32Array.from(ids),
        logprobs: Float32Array.from(logprobs),
        entropies: Float32Array.from(entropies),
        reason: event.reason,
      };
    }
  }
  throw new EspalierError('engine', 'sampling was paused: this model is trained by someone else at the same time');
}

function learned({ turns, advantage }: Rollout): LearnedRollout {
  return {
    advantage,
    turns: turns.map(({ prompt, sampled }) => ({
      prompt,
      completion: sampled.ids,
      behaviorLogprobs: sampled.logprobs,
      entropies: sampled.entropies,
      // One number for all: terms of equal log-probability at a node are one, whenever they were sampled.
      versions: new Int32Array(sampled.ids.length),
      fidelity: 'exact',
    })),
  };
}

function stepResult(result: TrainResult, flatTokens: number): StepResult {
  const { loss, gradientNorm, clipFraction, treeTokens } = result;
  return { loss, gradientNorm, clipFraction, treeTokens, flatTokens };
}
