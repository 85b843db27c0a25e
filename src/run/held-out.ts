/** Held-out evaluations: fixed tasks, graded like any other, never trained on. */
import type { Task } from '../core/task.ts';
import { passRate } from '../learn/statistics.ts';
import { type EvalRow, formatVersion } from '../report/rows.ts';
import { type TaskResult, taskResults, workFigures } from '../rollout/evaluation.ts';
import type { FinishedGroup } from '../rollout/group.ts';
import { evaluate, type ManagerOptions } from '../rollout/manager.ts';
import type { Taskset } from '../tasks/taskset.ts';

export type Decoding = EvalRow['decoding'];

export interface HeldOutPlan {
  readonly taskset: Taskset;
  readonly decoding: Decoding;
  /** The first tasks of the set. */
  readonly tasks: number;
  readonly rolloutsPerTask: number;
  /** What the rollouts' ids begin with, e.g. `eval/4/unseen/sampled`. */
  readonly scope: string;
}

export interface HeldOutResult {
  readonly decoding: Decoding;
  readonly groups: readonly FinishedGroup[];
  readonly results: readonly TaskResult[];
  readonly failures: number;
  readonly seconds: number;
}

export async function evaluateHeldOut(plan: HeldOutPlan, manager: ManagerOptions): Promise<HeldOutResult> {
  const { clock } = manager.services;
  const startedAt = clock.now();
  const tasks: Task[] = Array.from({ length: plan.tasks }, (_, index) => plan.taskset.task(index));
  const { groups, failures } = await evaluate({
    ...manager,
    scope: plan.scope,
    tasks,
    rolloutsPerTask: plan.rolloutsPerTask,
  });
  const seconds = (clock.now() - startedAt) / 1000;
  return { decoding: plan.decoding, groups, results: taskResults(groups), failures, seconds };
}

/** The last part of a set's name: `seedlings/unseen` is `unseen`. */
export function setName(taskset: Taskset): string {
  return taskset.name.slice(taskset.name.lastIndexOf('/') + 1);
}

export function evalRow(result: HeldOutResult, at: Pick<EvalRow, 'step' | 'version' | 'set'>): EvalRow {
  const estimate = passRate(result.results);
  const figures = workFigures(result.groups);
  return {
    formatVersion,
    step: at.step,
    version: at.version,
    seconds: result.seconds,
    set: at.set,
    decoding: result.decoding,
    passRate: estimate.value,
    low: estimate.low,
    high: estimate.high,
    tasks: result.results.length,
    rollouts: figures.rollouts,
    turnsMean: figures.turnsMean,
    parallelShare: figures.parallelShare,
  };
}
