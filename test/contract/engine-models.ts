/** Tiny random models for tests of the engine, and a step that moves them. */

import { Random, seedOf } from '../../src/core/random.ts';
import type { Checkpoint } from '../../src/engine/checkpoint.ts';
import type { OptimizerStep } from '../../src/engine/engine.ts';
import { randomCheckpoint } from '../../src/engine/random-checkpoint.ts';
import type { ModelShape } from '../../src/native/native.ts';

export const tinyShape: ModelShape = {
  vocabSize: 50,
  hiddenSize: 32,
  intermediateSize: 48,
  layerCount: 2,
  headCount: 4,
  kvHeadCount: 2,
  headDim: 8,
  ropeTheta: 10000,
  normEpsilon: 1e-6,
  tiedEmbeddings: true,
  qkNorm: true,
  contextLength: 256,
};

/** As random weights are, but no projection is 0: every block does something, and every cached position matters. */
export function livelyCheckpoint(shape: ModelShape = tinyShape, seed = 1n): Checkpoint {
  const files = new Map([['tokenizer.json', Buffer.from('{}')]]);
  const checkpoint = randomCheckpoint(shape, seed, files);
  const { names, data } = checkpoint.weights;
  const lively = data.map((values, i) => {
    if (values[0] !== 0) return values;
    const random = new Random(seedOf('lively', names[i] as string));
    return values.map(() => (random.next() - 0.5) * 0.4);
  });
  return { ...checkpoint, weights: { names, data: lively } };
}

/** Large enough that one step changes every log-probability. */
export const boldStep: OptimizerStep = {
  matrices: 'muon',
  learningRate: 1e-2,
  muonLearningRate: 1e-2,
  muonMomentum: 0.9,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0.01,
  gradientClip: 1,
};
