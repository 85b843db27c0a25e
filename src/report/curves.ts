/** The held-out curve as chart data: evaluations of a set, in the order of their steps. */
import type { Chart, Point, Series } from './chart.ts';
import { percent } from './format.ts';
import type { EvalRow } from './rows.ts';

/** A held-out set: its name, its color everywhere, and what it holds as far as that is known. */
export interface HeldOutSet {
  readonly set: string;
  readonly color: Series['color'];
  readonly holds: string | null;
}

/** The sets that the seedlings come with; a run may evaluate on others. */
const knownSets: readonly HeldOutSet[] = [
  { set: 'unseen', color: 1, holds: 'names, constants and compositions that were never seen' },
  { set: 'transfer', color: 2, holds: 'pairs of program and bug that were never seen, not even in a demonstration' },
];
const otherColors = [3, 4, 5] as const;

/** The sets that rows are about: known ones first, others in the order in which they come. */
export function setsOf(rows: readonly { readonly set: string }[]): HeldOutSet[] {
  const names = [...new Set(rows.map((row) => row.set))];
  const known = knownSets.filter(({ set }) => names.includes(set));
  const others = names.filter((name) => !known.some(({ set }) => set === name));
  return [
    ...known,
    ...others.map((set, index) => ({ set, color: otherColors[index % otherColors.length] ?? 5, holds: null })),
  ];
}

/** A run that was resumed may write a step again: its last row counts. Ascending by step. */
export function latestByStep<Row extends { readonly step: number }>(rows: readonly Row[]): Row[] {
  return [...new Map(rows.map((row) => [row.step, row])).values()].sort((a, b) => a.step - b.step);
}

export function evaluationsOf(rows: readonly EvalRow[], set: string, decoding: EvalRow['decoding']): EvalRow[] {
  return latestByStep(rows.filter((row) => row.set === set && row.decoding === decoding));
}

const withBand = (row: EvalRow): Point => ({ x: row.step, y: row.passRate, low: row.low, high: row.high });
const bare = (row: EvalRow): Point => ({ x: row.step, y: row.passRate });

/** Sampled with its 95% band, greedy dashed and without one. */
function heldOutSeries(rows: readonly EvalRow[], { set, color }: HeldOutSet, named: boolean): Series[] {
  const name = named ? `${set}, ` : '';
  const sampled = evaluationsOf(rows, set, 'sampled').map(withBand);
  const greedy = evaluationsOf(rows, set, 'greedy').map(bare);
  const series: Series[] = [
    { label: `${name}sampled`, color, points: sampled, dots: true },
    { label: `${name}greedy`, color, points: greedy, dashed: true, dots: true },
  ];
  return series.filter(({ points }) => points.length > 0);
}

export function heldOutChart(
  rows: readonly EvalRow[],
  sets: readonly HeldOutSet[],
  size: Pick<Chart, 'width' | 'height' | 'labelWidth'>,
): Chart {
  return {
    title: `Pass rate on held-out tasks (${sets.map(({ set }) => set).join(', ')}) over optimizer steps`,
    yLabel: 'tasks solved (band: 95% interval)',
    xLabel: 'optimizer step',
    series: sets.flatMap((set) => heldOutSeries(rows, set, sets.length > 1)),
    format: (value) => percent(value),
    yLow: 0,
    yHigh: 1,
    ...size,
  };
}
