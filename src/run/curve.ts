/**
 * The held-out curve of a run: when its sets are evaluated, on how many tasks, and what the first and the last say.
 *
 * The first and the last evaluation take all tasks of each set, at temperature 1 and greedy; those in between take fewer
 * and sample only. A resumed run gets evaluations of the past from the record.
 */
import type { PolicyVersion } from '../core/ids.ts';
import { passAtK, passRateDifference } from '../learn/statistics.ts';
import { type EvalRow, formatVersion, type SetSummary, type Summary } from '../report/rows.ts';
import type { ManagerOptions } from '../rollout/manager.ts';
import type { Taskset } from '../tasks/taskset.ts';
import type { RunConfig } from './config.ts';
import { type Decoding, evalRow, evaluateHeldOut, type HeldOutResult, setName } from './held-out.ts';

/** One evaluated set at one decoding. */
export interface Point extends HeldOutResult {
  readonly row: EvalRow;
}

/** Where in the run an evaluation stands. */
export interface Moment {
  readonly batch: number;
  readonly step: number;
  readonly version: PolicyVersion;
}

/** Gives the manager's options for held-out rollouts at a temperature. */
export type HeldOutManager = (temperature: number) => ManagerOptions;

export function isDue(config: RunConfig, batch: number): boolean {
  const { every } = config.evaluation;
  return batch === 0 || batch === config.batches || (every > 0 && batch % every === 0);
}

/** `written` keeps a point's row and gives the one that stands for it. */
export async function evaluateMoment(
  config: RunConfig,
  tasksets: readonly Taskset[],
  moment: Moment,
  manager: HeldOutManager,
  written: (row: EvalRow) => Promise<EvalRow>,
): Promise<Point[]> {
  const whole = moment.batch === 0 || moment.batch === config.batches;
  const { evaluation } = config;
  const decodings: Decoding[] = whole && evaluation.greedy ? ['sampled', 'greedy'] : ['sampled'];
  const points: Point[] = [];
  for (const taskset of tasksets) {
    for (const decoding of decodings) {
      const set = setName(taskset);
      const plan = {
        taskset,
        decoding,
        tasks: whole ? evaluation.tasks : Math.min(evaluation.tasks, evaluation.tasksBetween),
        rolloutsPerTask: whole && decoding === 'sampled' ? evaluation.rolloutsPerTask : 1,
        scope: `eval/${moment.batch}/${set}/${decoding}`,
      };
      const result = await evaluateHeldOut(plan, manager(decoding === 'greedy' ? 0 : 1));
      points.push({ ...result, row: await written(evalRow(result, { ...moment, set })) });
    }
  }
  return points;
}

/** First against last, paired by task. */
export function summaryOf(
  first: readonly Point[],
  last: readonly Point[],
  run: { readonly steps: number; readonly seconds: number },
): Summary {
  const sets = first.flatMap((point): SetSummary[] => {
    const other = last.find(({ row }) => row.set === point.row.set && row.decoding === point.row.decoding);
    if (other === undefined) return [];
    const difference = passRateDifference(point.results, other.results);
    return [
      {
        set: point.row.set,
        decoding: point.row.decoding,
        first: point.row,
        last: other.row,
        difference: difference.value,
        low: difference.low,
        high: difference.high,
        passAt8First: passAtK(point.results, 8),
        passAt8Last: passAtK(other.results, 8),
      },
    ];
  });
  return { formatVersion, steps: run.steps, seconds: run.seconds, sets };
}
