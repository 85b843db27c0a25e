/** Supervised training on demonstrations: batches are made while the engine works on the one before. */
import type { Trainer } from '../../engine/engine.ts';
import { optimizerStep, supervisedOptimizer } from '../../learn/optimizer.ts';
import { type Demonstration, sftBatch, sftRequest } from '../../learn/stages/sft.ts';
import type { Recipe } from './recipe.ts';

export interface SupervisedStep {
  /** From 1. */
  readonly step: number;
  readonly loss: number;
  readonly flatTokens: number;
}

/** Runs `recipe.steps` steps; `draw(n)` makes the n-th demonstration. `onStep` is awaited. */
export async function supervise(
  trainer: Trainer,
  recipe: Recipe,
  draw: (index: number, contextWeight: number) => Promise<Demonstration>,
  onStep: (step: SupervisedStep) => Promise<void>,
): Promise<void> {
  const settings = {
    ...supervisedOptimizer,
    learningRate: recipe.learningRate,
    muonLearningRate: recipe.muonLearningRate,
    schedule: {
      kind: 'warm-up-stable-decay',
      warmupSteps: recipe.warmupSteps,
      decayShare: recipe.decayShare,
    } as const,
  };
  const batchOf = async (step: number) => {
    const first = step * recipe.perStep;
    const drawn = Array.from({ length: recipe.perStep }, (_, index) => draw(first + index, recipe.contextWeight));
    return sftBatch(await Promise.all(drawn));
  };
  let next = batchOf(0);
  for (let step = 0; step < recipe.steps; step++) {
    const batch = await next;
    const training = trainer.train(sftRequest(batch, optimizerStep(settings, step, recipe.steps)));
    if (step + 1 < recipe.steps) next = batchOf(step + 1);
    const { loss } = await training;
    await onStep({ step: step + 1, loss, flatTokens: batch.flatTokens });
  }
}
