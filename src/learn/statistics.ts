/**
 * What an evaluation may claim: rates with intervals, differences of two models, pass@k.
 *
 * Not covered: tasks of one fragment that resemble tasks of another. Intervals resample fragments (clusters), since tasks
 * of one fragment succeed and fail together and a bootstrap over tasks would look too sure. Tasks of a single fragment
 * are resampled one by one, and the interval then speaks of that fragment alone.
 *
 * Invariants:
 * 1. Every interval is a function of its rows and its seed.
 * 2. A rollout that infrastructure failed is in no row: it is counted by whoever ran it, never as a task failure.
 */
import { Random, seedOf } from '../core/random.ts';

/** One task of an evaluation. `cluster` is its fragment. */
export interface TaskPasses {
  readonly cluster: string;
  readonly passes: number;
  /** Graded rollouts; a task with 0 counts for nothing. */
  readonly rollouts: number;
}

/** A point estimate with its 95% interval. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface BootstrapOptions {
  readonly seed: string | number;
  readonly resamples: number;
}

export const defaultBootstrap: BootstrapOptions = { seed: 0, resamples: 2000 };

/** Share of graded rollouts that passed. Without rows it is 0 from 0 to 1: nothing is known. */
export function passRate(rows: readonly TaskPasses[], options: BootstrapOptions = defaultBootstrap): Estimate {
  const known = rows.filter((row) => row.rollouts > 0);
  if (known.length === 0) return { value: 0, low: 0, high: 1 };
  const counted = known.map(({ cluster, passes, rollouts }) => ({ cluster, counts: [passes, rollouts] }));
  return clusterBootstrap(counted, ([passes = 0, rollouts = 0]) => passes / rollouts, options);
}

/**
 * Pass rate of `after` minus that of `before`, paired: row i of both is the same task, and each resample takes the same
 * fragments for both. Throws RangeError when the rows do not pair.
 */
export function passRateDifference(
  before: readonly TaskPasses[],
  after: readonly TaskPasses[],
  options: BootstrapOptions = defaultBootstrap,
): Estimate {
  if (before.length !== after.length || before.some((row, index) => row.cluster !== after[index]?.cluster)) {
    throw new RangeError(
      `evaluations of ${before.length} and ${after.length} tasks do not pair: give the same tasks, in order`,
    );
  }
  const counted = before.flatMap((row, index) => {
    const other = after[index];
    if (other === undefined || row.rollouts === 0 || other.rollouts === 0) return [];
    return [{ cluster: row.cluster, counts: [row.passes, row.rollouts, other.passes, other.rollouts] }];
  });
  if (counted.length === 0) return { value: 0, low: -1, high: 1 };
  const difference = ([p0 = 0, n0 = 0, p1 = 0, n1 = 0]: readonly number[]) => p1 / n1 - p0 / n0;
  return clusterBootstrap(counted, difference, options);
}

/**
 * Unbiased estimate of the chance that at least one of `k` rollouts passes, averaged over tasks with >= k rollouts:
 * 1 - C(n - c, k) / C(n, k) a task. Null when no task has that many.
 */
export function passAtK(rows: readonly TaskPasses[], k: number): number | null {
  const eligible = rows.filter((row) => row.rollouts >= k);
  if (eligible.length === 0) return null;
  return eligible.reduce((sum, row) => sum + passAtKOf(row.rollouts, row.passes, k), 0) / eligible.length;
}

function passAtKOf(rollouts: number, passes: number, k: number): number {
  if (rollouts - passes < k) return 1;
  let allFail = 1;
  for (let i = rollouts - passes + 1; i <= rollouts; i++) allFail *= 1 - k / i;
  return 1 - allFail;
}

interface Counted {
  readonly cluster: string;
  readonly counts: readonly number[];
}

/** Percentile bootstrap: resamples whole clusters and applies `statistic` to the totals of their counts. */
function clusterBootstrap(
  rows: readonly Counted[],
  statistic: (totals: readonly number[]) => number,
  options: BootstrapOptions,
): Estimate {
  const clusters = [...Map.groupBy(rows, ({ cluster }) => cluster).values()].map(totalOf);
  const units = clusters.length > 1 ? clusters : rows.map(({ counts }) => counts);
  const random = new Random(seedOf('bootstrap', options.seed));
  const values = new Float64Array(options.resamples);
  for (let i = 0; i < values.length; i++) {
    values[i] = statistic(totalOf(units.map(() => ({ counts: random.pick(units) }))));
  }
  values.sort();
  const value = statistic(totalOf(rows));
  return { value, low: quantile(values, 0.025) ?? value, high: quantile(values, 0.975) ?? value };
}

function totalOf(rows: readonly Pick<Counted, 'counts'>[]): readonly number[] {
  const totals = (rows[0]?.counts ?? []).map(() => 0);
  for (const { counts } of rows) {
    for (let column = 0; column < totals.length; column++)
      totals[column] = (totals[column] ?? 0) + (counts[column] ?? 0);
  }
  return totals;
}

/** Linear between neighbors; `sorted` ascending. */
function quantile(sorted: Float64Array, share: number): number | undefined {
  const position = share * (sorted.length - 1);
  const below = sorted[Math.floor(position)];
  const above = sorted[Math.ceil(position)];
  if (below === undefined || above === undefined) return undefined;
  return below + (above - below) * (position - Math.floor(position));
}
