/**
 * The models that are measured: one of each size that people train on such machines, from the seedling's to SmolLM2.
 *
 * Weights are random; nothing here depends on what a model knows.
 */
import { EspalierError } from '../core/errors.ts';
import { tensorSpecs } from '../engine/model-config.ts';
import type { ModelShape } from '../native/native.ts';

const common = {
  ropeTheta: 10_000,
  normEpsilon: 1e-6,
  tiedEmbeddings: true,
  qkNorm: true,
  contextLength: 8192,
} as const;

/** Named by their parameters, embeddings included. */
export const models = {
  '0.5M': {
    ...common,
    vocabSize: 1280,
    hiddenSize: 96,
    intermediateSize: 256,
    layerCount: 4,
    headCount: 4,
    kvHeadCount: 2,
    headDim: 24,
  },
  '1M': {
    ...common,
    vocabSize: 1280,
    hiddenSize: 128,
    intermediateSize: 352,
    layerCount: 4,
    headCount: 4,
    kvHeadCount: 2,
    headDim: 32,
  },
  '5M': {
    ...common,
    vocabSize: 2048,
    hiddenSize: 256,
    intermediateSize: 704,
    layerCount: 6,
    headCount: 8,
    kvHeadCount: 4,
    headDim: 32,
  },
  '30M': {
    ...common,
    vocabSize: 8192,
    hiddenSize: 512,
    intermediateSize: 1408,
    layerCount: 9,
    headCount: 8,
    kvHeadCount: 4,
    headDim: 64,
  },
  /** SmolLM2-135M. */
  '135M': {
    ...common,
    vocabSize: 49_152,
    hiddenSize: 576,
    intermediateSize: 1536,
    layerCount: 30,
    headCount: 9,
    kvHeadCount: 3,
    headDim: 64,
    ropeTheta: 100_000,
    normEpsilon: 1e-5,
    qkNorm: false,
  },
} as const satisfies Record<string, ModelShape>;

export type ModelName = keyof typeof models;
export const modelNames = Object.keys(models) as readonly ModelName[];

/** Throws `config` with the names that there are. */
export function modelNamed(name: string): ModelName {
  const found = modelNames.find((one) => one === name);
  if (found === undefined) throw new EspalierError('config', `no model ${name}: there are ${modelNames.join(', ')}`);
  return found;
}

export function parameterCount(shape: ModelShape): number {
  return tensorSpecs(shape).reduce((sum, { dims }) => sum + dims.reduce((product, size) => product * size, 1), 0);
}
