/** From the run's configuration to what each room takes. Pure. */
import { truncates } from '../core/truncation.ts';
import { reinforcementOptimizer, type Schedule } from '../learn/optimizer.ts';
import { defaultRl, type RlOptions } from '../learn/stages/rl.ts';
import type { RolloutSettings } from '../rollout/rollout.ts';
import { wasmLimits } from '../sandbox/sandboxes/wasm.ts';
import type { RunConfig } from './config.ts';

/** The name that agents ask the proxy for. */
export const policyName = 'policy';

export function rlOptions({ learn }: RunConfig): RlOptions {
  return {
    advantages: { ...defaultRl.advantages, normalize: learn.normalize, negativeScale: learn.negativeScale },
    clip: { clipLow: learn.clipLow, clipHigh: learn.clipHigh },
    shared: learn.sharedTokens,
    tokenBudget: learn.tokenBudget,
    stepsPerBatch: learn.stepsPerBatch,
    control: learn.control,
    optimizer: {
      ...reinforcementOptimizer,
      learningRate: learn.learningRate,
      weightDecay: learn.weightDecay,
      gradientClip: learn.gradientClip,
      schedule: scheduleOf(learn),
    },
  };
}

function scheduleOf({ schedule, warmupSteps, rateFloor, decayShare }: RunConfig['learn']): Schedule {
  return schedule === 'constant'
    ? { kind: 'warm-up-stable-decay', warmupSteps, decayShare }
    : { kind: schedule, warmupSteps, floor: rateFloor };
}

/** How the run's rollouts work: the ones that are learned from, and held-out ones at either decoding. */
export function rolloutSettings(
  config: RunConfig,
  kind: { readonly trainable: boolean; readonly temperature: number },
): RolloutSettings {
  const { rollout } = config;
  const { topK, topP, minP } = config.evaluation;
  const truncation = { topK, topP, minP };
  return {
    model: policyName,
    temperature: kind.temperature,
    trainable: kind.trainable,
    ...(!kind.trainable && truncates(truncation) && { truncation }),
    maxTokensPerTurn: rollout.maxTokensPerTurn,
    limits: { maxTurns: rollout.maxTurns, timeMs: rollout.timeMs },
    sandboxLimits: wasmLimits,
    maxAttempts: rollout.retries + 1,
  };
}
