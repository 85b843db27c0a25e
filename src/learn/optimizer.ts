/**
 * The optimizer's settings and their course over a stage.
 *
 * Not here: the update itself, which is the engine's. A schedule counts steps, never seconds, so that it replays.
 */
import type { OptimizerStep } from '../engine/engine.ts';

/** All rise linearly over the first `warmupSteps`; step 0 is already above zero, and so is the last. */
export type Schedule =
  | { readonly kind: 'constant'; readonly warmupSteps: number }
  /** From 1 after the warm-up to `floor` after the last step: on a line, or on half a cosine. */
  | { readonly kind: 'linear' | 'cosine'; readonly warmupSteps: number; readonly floor: number }
  /** Stable, then linear to 0 over the last `decayShare` of the steps. */
  | { readonly kind: 'warm-up-stable-decay'; readonly warmupSteps: number; readonly decayShare: number };

/** Learning rates are those of the stable stretch. */
export interface OptimizerOptions extends OptimizerStep {
  readonly schedule: Schedule;
}

/** What a tiny agent was trained on demonstrations with. */
export const supervisedOptimizer: OptimizerOptions = {
  matrices: 'muon',
  learningRate: 3e-3,
  muonLearningRate: 0.02,
  muonMomentum: 0.95,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0,
  gradientClip: 1,
  schedule: { kind: 'warm-up-stable-decay', warmupSteps: 50, decayShare: 0.3 },
};

/** What it was reinforced with: a rate of 1e-3 was seen to harm. */
export const reinforcementOptimizer: OptimizerOptions = {
  ...supervisedOptimizer,
  matrices: 'adamw',
  learningRate: 3e-4,
  muonLearningRate: 0,
  schedule: { kind: 'constant', warmupSteps: 0 },
};

/** The factor on learning rates for step `step` (from 0) of `steps`, above 0 (from `floor`) and at most 1. */
export function scheduleFactor(schedule: Schedule, step: number, steps: number): number {
  const { warmupSteps } = schedule;
  const rise = warmupSteps > 0 ? Math.min(1, (step + 1) / warmupSteps) : 1;
  switch (schedule.kind) {
    case 'constant':
      return rise;
    case 'linear':
    case 'cosine': {
      // Of the way from the end of the warm-up to the end of the last step.
      const way = Math.max(0, Math.min(1, (step - warmupSteps) / Math.max(1, steps - warmupSteps)));
      const left = schedule.kind === 'linear' ? 1 - way : (1 + Math.cos(Math.PI * way)) / 2;
      return Math.min(rise, schedule.floor + (1 - schedule.floor) * left);
    }
    case 'warm-up-stable-decay': {
      const decaySteps = Math.max(1, Math.round(steps * schedule.decayShare));
      const fall = schedule.decayShare > 0 ? Math.max(0, Math.min(1, (steps - step) / decaySteps)) : 1;
      return Math.min(rise, fall);
    }
    default:
      return schedule satisfies never;
  }
}

export function optimizerStep(options: OptimizerOptions, step: number, steps: number): OptimizerStep {
  const { schedule, ...settings } = options;
  const factor = scheduleFactor(schedule, step, steps);
  return {
    ...settings,
    learningRate: settings.learningRate * factor,
    muonLearningRate: settings.muonLearningRate * factor,
  };
}
