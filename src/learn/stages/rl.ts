/**
 * Agentic reinforcement learning: a batch of rollout groups to optimizer steps.
 *
 * Not here: sampling the rollouts, running the steps, publishing weights.
 *
 * Invariants:
 * 1. Advantages are taken over the whole batch, then its groups with signal are dealt to the steps in draw order, as
 *    evenly as they go. A step that would have no group does not exist: a batch without signal has no steps.
 * 2. A plan is a function of the batch, the options and the batch's first step: the same on replay.
 * 3. Recorded and recomputed log-probabilities are compared in a batch's first step only, over tokens that were sampled
 *    under the very version which that step updates: later steps recompute under other weights, so they know no gap.
 */
import type { OptimizerStep, TrainRequest, TrainResult } from '../../engine/engine.ts';
import { type AdvantageOptions, advantagesOf, defaultAdvantages } from '../advantages.ts';
import { type LossBatch, lossBatch, type SharedTokens } from '../loss-terms.ts';
import { type ClipOptions, clippedObjective, defaultClip } from '../objectives.ts';
import { type OptimizerOptions, optimizerStep, reinforcementOptimizer } from '../optimizer.ts';
import { shuffledRewards } from '../rewards.ts';
import type { SampledTurn } from '../trajectories.ts';

export interface BatchRollout {
  readonly reward: number;
  readonly passed: boolean;
  readonly turns: readonly SampledTurn[];
}

/** The graded attempts at one task, in order. */
export interface BatchGroup {
  readonly rollouts: readonly BatchRollout[];
}

export interface RlOptions {
  readonly advantages: AdvantageOptions;
  readonly clip: ClipOptions;
  readonly shared: SharedTokens;
  /** Nodes of a step's trie at most; null is no limit. */
  readonly tokenBudget: number | null;
  readonly stepsPerBatch: number;
  /** `shuffled` permutes the rewards over the batch: the control that must learn nothing. */
  readonly control: 'none' | 'shuffled';
  readonly optimizer: OptimizerOptions;
}

export const defaultRl: RlOptions = {
  advantages: defaultAdvantages,
  clip: defaultClip,
  shared: 'per-branch',
  tokenBudget: null,
  stepsPerBatch: 2,
  control: 'none',
  optimizer: reinforcementOptimizer,
};

/** Where the batch stands in the run. */
export interface BatchPlace {
  readonly seed: string | number;
  /** Optimizer steps before this batch. */
  readonly firstStep: number;
  /** Optimizer steps of the whole run, for the schedule. */
  readonly steps: number;
}

export interface PlannedStep extends LossBatch {
  readonly request: TrainRequest;
  /** 0 is the batch's first. */
  readonly indexInBatch: number;
  readonly groups: number;
}

export function planSteps(groups: readonly BatchGroup[], options: RlOptions, place: BatchPlace): PlannedStep[] {
  const rewards = groups.map(({ rollouts }) => rollouts.map(({ reward }) => reward));
  const credited = options.control === 'shuffled' ? shuffledRewards(rewards, place.seed, place.firstStep) : rewards;
  const advantages = advantagesOf(
    groups.map(({ rollouts }, index) => ({
      rewards: credited[index] ?? [],
      passes: rollouts.map(({ passed }) => passed),
      entropies: rollouts.map(({ turns }) => meanEntropy(turns)),
    })),
    options.advantages,
  );
  const learned = groups.flatMap(({ rollouts }, index) => {
    const own = advantages[index];
    return own == null ? [] : [rollouts.map(({ turns }, i) => ({ turns, advantage: own[i] ?? 0 }))];
  });
  return dealt(learned, options.stepsPerBatch).map((share, indexInBatch) => {
    const loss = lossBatch(share.flat(), options.shared, options.tokenBudget);
    const objective = clippedObjective(loss.figures.sampledTokens, options.clip);
    const optimizer: OptimizerStep = optimizerStep(options.optimizer, place.firstStep + indexInBatch, place.steps);
    return { ...loss, request: { batch: loss.batch, objective, optimizer }, indexInBatch, groups: share.length };
  });
}

/** Contiguous shares, as even as they go; empty ones are left out. */
function dealt<T>(items: readonly T[], shares: number): T[][] {
  const cut = (share: number) => Math.floor((share * items.length) / shares);
  return Array.from({ length: shares }, (_, share) => items.slice(cut(share), cut(share + 1))).filter(
    (share) => share.length > 0,
  );
}

/** Over the rollout's sampled tokens; 0 without any. */
export function meanEntropy(turns: readonly Pick<SampledTurn, 'entropies'>[]): number {
  let sum = 0;
  let tokens = 0;
  for (const { entropies } of turns) {
    for (const entropy of entropies) sum += entropy;
    tokens += entropies.length;
  }
  return tokens > 0 ? sum / tokens : 0;
}

/** `maxLogprobGap` is null when there was nothing to compare, which is not a gap of 0. */
export interface LogprobGap {
  readonly maxLogprobGap: number | null;
  /** Sampled tokens that were compared. */
  readonly gapTokens: number;
}

/** `updated` is the version that the step trained on, before it. */
export function logprobGap(
  step: Pick<PlannedStep, 'batch' | 'termVersion' | 'termSamples' | 'indexInBatch'>,
  result: Pick<TrainResult, 'termLogprobs'>,
  updated: number,
): LogprobGap {
  if (step.indexInBatch > 0) return { maxLogprobGap: null, gapTokens: 0 };
  let maxLogprobGap = 0;
  let gapTokens = 0;
  step.termVersion.forEach((version, term) => {
    if (version !== updated) return;
    const recorded = step.batch.termBehaviorLogprob[term] ?? Number.NaN;
    const gap = Math.abs(recorded - (result.termLogprobs[term] ?? Number.NaN));
    // Not Math.max alone: a log-probability that is not a number is the widest gap there is.
    maxLogprobGap = Number.isNaN(gap) ? Number.POSITIVE_INFINITY : Math.max(maxLogprobGap, gap);
    gapTokens += step.termSamples[term] ?? 0;
  });
  return { maxLogprobGap: gapTokens > 0 ? maxLogprobGap : null, gapTokens };
}
