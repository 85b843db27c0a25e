/** From a collected batch to its manifest, its steps and their rows. Pure: a replay gets the same from the record. */
import type { PolicyVersion, RolloutId, TaskId } from '../core/ids.ts';
import type { Turn } from '../core/turn.ts';
import { solved, type Verdict } from '../core/verdict.ts';
import type { TrainResult } from '../engine/engine.ts';
import { type BatchGroup, logprobGap, meanEntropy, type PlannedStep, planSteps } from '../learn/stages/rl.ts';
import { formatVersion, type MetricsRow } from '../report/rows.ts';
import { workFigures } from '../rollout/evaluation.ts';
import type { FinishedGroup } from '../rollout/group.ts';
import type { CollectedBatch } from '../rollout/manager.ts';
import type { ManifestRecord } from '../trajectory/records.ts';
import type { RunConfig } from './config.ts';
import { rlOptions } from './options.ts';

/** What a batch learns from, to be durable before its first step. */
export function manifestOf(
  batch: number,
  version: PolicyVersion,
  groups: readonly FinishedGroup[],
  placeOf: (task: TaskId) => number,
): ManifestRecord {
  return {
    type: 'manifest',
    step: version,
    version,
    groups: groups.map(({ id, task, rollouts }) => ({
      group: id,
      task: placeOf(task.id),
      rollouts: rollouts.map((rollout) => rollout.id),
      rewards: rollouts.map(({ reward }) => reward ?? 0),
    })),
    details: { batch },
  };
}

/** What the record says of a rollout. */
export interface RecordedRollouts {
  turns(rollout: RolloutId): readonly Turn[];
  verdict(rollout: RolloutId): Verdict | null;
}

/** The batch's optimizer steps: a function of the manifest, the record and the configuration. */
export function stepsOf(manifest: ManifestRecord, recorded: RecordedRollouts, config: RunConfig): PlannedStep[] {
  const groups = manifest.groups.map(
    ({ rollouts, rewards }): BatchGroup => ({
      rollouts: rollouts.map((rollout, index) => {
        const verdict = recorded.verdict(rollout);
        return {
          reward: rewards[index] ?? 0,
          passed: verdict !== null && solved(verdict),
          turns: recorded.turns(rollout),
        };
      }),
    }),
  );
  const place = { seed: config.seed, firstStep: manifest.step, steps: config.batches * config.learn.stepsPerBatch };
  return planSteps(groups, rlOptions(config), place);
}

/** The facts of a batch that all its rows carry: how the agent worked, and what it drew. */
export interface BatchFacts {
  readonly collected: CollectedBatch;
  readonly record: RecordedRollouts;
}

/** The row of one optimizer step, which is the version that it makes. `seconds` is the step's share of the batch's wall time. */
export function metricsRow(
  { collected, record }: BatchFacts,
  step: PlannedStep,
  result: TrainResult,
  seconds: number,
): MetricsRow {
  const figures = workFigures(collected.launched);
  const turns = collected.informative.flatMap(({ rollouts }) => rollouts.flatMap(({ id }) => record.turns(id)));
  return {
    formatVersion,
    step: result.version,
    version: result.version,
    seconds,
    passRate: figures.rollouts > 0 ? figures.passRate : null,
    reward: figures.rollouts > 0 ? figures.reward : null,
    turnsMean: figures.rollouts > 0 ? figures.turnsMean : null,
    parallelShare: figures.turns > 0 ? figures.parallelShare : null,
    sampledTokens: step.figures.sampledTokens,
    treeTokens: step.figures.treeTokens,
    flatTokensPerRequest: step.figures.flatTokensPerRequest,
    flatTokensMerged: step.figures.flatTokensMerged,
    ...logprobGap(step, result, result.version - 1),
    retokenizedSampledTokens: figures.retokenizedSampledTokens,
    turns: figures.turns,
    exactTurns: figures.exactTurns,
    entropy: meanEntropy(turns),
    clipFraction: result.clipFraction,
    droppedGroups: collected.droppedGroups,
    failures: collected.failures,
  };
}
