/** Supervised training on demonstrations: batches are made while the engine works on the one before. */
import type { Trainer } from '../../engine/engine.ts';
import { optimizerStep, supervisedOptimizer } from '../../learn/optimizer.ts';
import { type Demonstration, sftBatch, sftRequest } from '../../learn/stages/sft.ts';
import type { Cycle, Recipe } from './recipe.ts';

export interface SupervisedStep {
  /** From 1. */
  readonly step: number;
  readonly loss: number;
  readonly flatTokens: number;
}

/** What is demonstrated: the n-th demonstration, with the cycle's weights. */
export type Draw = (index: number, cycle: Cycle) => Promise<Demonstration>;

/** Runs one cycle; its demonstrations begin at `first`. `onStep` is awaited. */
export async function supervise(
  trainer: Trainer,
  recipe: Recipe,
  cycle: Cycle,
  first: number,
  draw: Draw,
  onStep: (step: SupervisedStep) => Promise<void>,
): Promise<void> {
  const settings = {
    ...supervisedOptimizer,
    learningRate: recipe.learningRate,
    muonLearningRate: recipe.muonLearningRate,
    schedule: {
      kind: 'warm-up-stable-decay',
      warmupSteps: recipe.warmupSteps,
      decayShare: cycle.decayShare,
    } as const,
  };
  const batchOf = async (step: number) => {
    const from = first + step * recipe.perStep;
    const drawn = Array.from({ length: recipe.perStep }, (_, index) => draw(from + index, cycle));
    return sftBatch(await Promise.all(drawn));
  };
  let next = batchOf(0);
  for (let step = 0; step < cycle.steps; step++) {
    const batch = await next;
    const training = trainer.train(sftRequest(batch, optimizerStep(settings, step, cycle.steps)));
    if (step + 1 < cycle.steps) next = batchOf(step + 1);
    const { loss } = await training;
    await onStep({ step: step + 1, loss, flatTokens: batch.flatTokens });
  }
}
