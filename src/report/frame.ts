/**
 * One frame of the live view as lines of text. Pure: the same state, size and colors give the same lines.
 *
 * Invariants:
 * 1. No line is wider than the terminal, and there are never more lines than it has rows, so that a frame can be drawn
 *    over the last one.
 * 2. The height depends on the terminal's size only, so that a frame does not jump.
 */
import type picocolors from 'picocolors';
import { plotCurves, progressBar, sparkline } from './braille.ts';
import { evaluationsOf, latestByStep, setsOf } from './curves.ts';
import { duration, fixed, gap, percent, ratio, whole } from './format.ts';
import type { PassingTurn } from './passing.ts';
import type { EvalRow, MetricsRow } from './rows.ts';
import { spread } from './scale.ts';
import { cut, displayWidth, oneLine, pad } from './text.ts';
import type { RunInfo } from './view.ts';

export interface FrameState {
  readonly info: RunInfo;
  readonly metrics: readonly MetricsRow[];
  readonly evaluations: readonly EvalRow[];
  readonly elapsedSeconds: number;
  readonly passing: Passing | null;
}

/** A transcript of which the first `shown` turns have passed. */
export interface Passing {
  readonly rollout: string;
  readonly turns: readonly PassingTurn[];
  readonly shown: number;
  readonly solved: boolean | null;
}

export type Colors = ReturnType<typeof picocolors.createColors>;

export interface FrameSize {
  readonly columns: number;
  readonly rows: number;
}

/** Less is too little for an axis, a plot and its labels. */
const minChartColumns = 32;

type Paint = (text: string) => string;
/** A piece of a line: plain text, and what colors it once it is known to fit. */
type Span = readonly [text: string, paint?: Paint];

const [chartRows, passingRows, figureColumns, axisColumns, labelColumns] = [8, 6, 40, 5, 14];
const plain: Paint = (text) => text;

export function renderFrame(state: FrameState, size: FrameSize, colors: Colors): string[] {
  const columns = Math.max(20, size.columns - 1);
  const wide = columns >= axisColumns + 20 + labelColumns + figureColumns;
  const figures = figureLines(state, colors);
  const chart = chartLines(state, wide ? columns - figureColumns : columns, colors);
  const body = wide ? chart.map((line, row) => line + fitted(figures[row] ?? [], figureColumns)) : chart;
  const blocks = [
    headLines(state, columns, colors),
    columns < minChartColumns ? [] : ['', ...body],
    wide ? [] : ['', ...figures.map((spans) => fitted(spans, columns))],
    ['', ...passingLines(state.passing, columns, colors)],
    ['', fitted([[`Ctrl-C stops cleanly; continue with ${state.info.resumeCommand}`, colors.dim]], columns)],
  ];
  // A low terminal keeps the blocks at the top, whole.
  const lines: string[] = [];
  for (const block of blocks) {
    if (lines.length + block.length >= size.rows) break;
    lines.push(...block);
  }
  return lines;
}

/** Cuts to `columns` cells, then paints. */
function fitted(spans: readonly Span[], columns: number): string {
  let [left, line] = [columns, ''];
  for (const [text, paint = plain] of spans) {
    const kept = cut(text, left);
    line += kept === '' ? '' : paint(kept);
    left -= displayWidth(kept);
    if (left <= 0) break;
  }
  return line;
}

function headLines(state: FrameState, columns: number, colors: Colors): string[] {
  const { info, elapsedSeconds } = state;
  const done = state.metrics.at(-1)?.step ?? info.stepsDone;
  const share = info.steps === 0 ? 1 : done / info.steps;
  const left = secondsLeft(state);
  const times = `${duration(elapsedSeconds)} so far${left === null ? '' : `, about ${duration(left)} left`}`;
  const steps = `step ${pad(String(done), String(info.steps).length, 'right')}/${info.steps}`;
  const bar = progressBar(share, Math.min(40, Math.max(8, columns - 52)));
  return [
    fitted(
      [
        ['espalier ', colors.bold],
        [`${info.name}  `, colors.green],
        [`${info.model}, seed ${info.seed}, ${info.directory}`, colors.dim],
      ],
      columns,
    ),
    fitted([[`${steps}  `], [bar, colors.green], [`  ${percent(share).padStart(4)}  `], [times, colors.dim]], columns),
  ];
}

/** From the mean of the last steps and of the evaluations; null before there is a step to go by. */
export function secondsLeft({ info, metrics, evaluations }: Pick<FrameState, 'info' | 'metrics' | 'evaluations'>) {
  const recent = metrics.slice(-10);
  const last = recent.at(-1);
  if (last === undefined) return null;
  const stepsLeft = Math.max(0, info.steps - last.step);
  const stepSeconds = recent.reduce((total, row) => total + row.seconds, 0) / recent.length;
  const evalSteps = [...new Set(evaluations.map((row) => row.step))];
  const evalSeconds = evaluations.reduce((total, row) => total + row.seconds, 0) / Math.max(1, evalSteps.length);
  const between = (evalSteps.at(-1) ?? 0) - (evalSteps.at(-2) ?? 0);
  const evalsLeft = evalSteps.length < 2 || between <= 0 ? 1 : Math.ceil(stepsLeft / between);
  return stepsLeft === 0 ? 0 : stepsLeft * stepSeconds + evalsLeft * evalSeconds;
}

function chartLines({ info, evaluations }: FrameState, columns: number, colors: Colors): string[] {
  const width = Math.min(72, Math.max(8, columns - axisColumns - labelColumns));
  const paints = [colors.cyan, colors.yellow, colors.green, colors.magenta, colors.dim];
  const curves = setsOf(evaluations).map(({ set, color }) => ({
    set,
    rows: evaluationsOf(evaluations, set, 'sampled'),
    paint: paints[color - 1] ?? plain,
  }));
  const plots = curves.map(({ rows, paint }) => ({
    points: rows.map((row) => ({ x: row.step / Math.max(1, info.steps), y: row.passRate })),
    paint,
  }));
  const labels = endLabels(curves);
  const title = fitted([['held-out tasks solved, sampled', colors.bold]], columns);
  const plot = plotCurves(plots, width, chartRows).map((line, row) => {
    const tick = row === 0 ? '100%' : row === chartRows - 1 ? '  0%' : row === chartRows / 2 ? ' 50%' : '    ';
    const [label, paint] = labels.get(row) ?? ['', plain];
    return `${colors.dim(`${tick}\u2502`)}${line}${paint(pad(label, labelColumns))}`;
  });
  const rest = ' '.repeat(Math.max(0, columns - axisColumns - width - labelColumns));
  const blank = ' '.repeat(Math.max(0, columns - displayWidth('held-out tasks solved, sampled')));
  return [title + blank, ...plot.map((line) => line + rest)];
}

/** Row of the plot to label: each curve's set and last value, a row apart at least. */
function endLabels(
  curves: readonly { readonly set: string; readonly rows: readonly EvalRow[]; readonly paint: Paint }[],
): Map<number, readonly [string, Paint]> {
  const ends = curves.flatMap(({ set, rows, paint }) => {
    const last = rows.at(-1);
    return last === undefined ? [] : [{ set, paint, value: last.passRate }];
  });
  const wanted = ends.map(({ value }) => Math.round((1 - value) * (chartRows - 1)));
  const rows = spread(wanted, 1, 0, chartRows - 1);
  return new Map(
    ends.map(({ set, value, paint }, index) => [
      rows[index] ?? 0,
      [cut(` ${oneLine(set, 8)} ${percent(value)}`, labelColumns), paint] as const,
    ]),
  );
}

/** As many lines as the chart has. */
function figureLines({ metrics }: FrameState, colors: Colors): Span[][] {
  const steps = latestByStep(metrics);
  const last = steps.at(-1);
  const row = (name: string, value: string, rest: string, paint: Paint = colors.dim): Span[] => [
    [pad(name, 12), colors.dim],
    [`${pad(value, 7, 'right')} `],
    [rest, paint],
  ];
  const history = (of: (step: MetricsRow) => number | null, low: number, atLeast: number): string => {
    const values = steps.map(of);
    return sparkline(values, 18, low, Math.max(atLeast, ...values.map((value) => value ?? 0)));
  };
  const passRate = history((step) => step.passRate, 0, 1);
  const turns = history((step) => step.turnsMean, 1, 3);
  const parallel = history((step) => step.parallelShare, 0, 0.2);
  // Over the whole run: later steps of a batch have no gap of their own.
  const gaps = steps.flatMap((step) => (step.maxLogprobGap === null ? [] : [step.maxLogprobGap]));
  const largestGap = gaps.length === 0 ? null : Math.max(...gaps);
  const gapTokens = steps.reduce((total, step) => total + step.gapTokens, 0);
  const merged = ratio(last?.flatTokensMerged, last?.treeTokens);
  return [
    [['training', colors.bold]],
    row('pass rate', percent(last?.passRate), passRate, colors.green),
    row('turns', fixed(last?.turnsMean, 1), turns, colors.green),
    row('parallel', percent(last?.parallelShare), parallel, colors.green),
    row('tokens/s', whole(ratio(last?.sampledTokens, last?.seconds)), 'sampled'),
    row('', whole(ratio(last?.treeTokens, last?.seconds)), 'trained'),
    row('sharing', merged === null ? fixed(null, 1) : `${fixed(merged, 1)}\u00d7`, 'merged / trie tokens'),
    row('gap', gap(largestGap), `nats, ${whole(gapTokens)} tokens`),
    row('failures', whole(last?.failures), 'of infrastructure'),
  ];
}

function passingLines(passing: Passing | null, columns: number, colors: Colors): string[] {
  const empty = Array.from({ length: passingRows + 1 }, () => '');
  if (passing === null) return empty;
  const first = Math.max(0, passing.shown - passingRows);
  const turns = passing.turns
    .slice(first, passing.shown)
    .map((turn, index) =>
      fitted(
        [
          [`${pad(String(first + index + 1), 3, 'right')} `, colors.dim],
          [turn.calls],
          [turn.answer === '' ? '' : `  ${turn.answer}`, colors.dim],
        ],
        columns,
      ),
    );
  const done = passing.shown >= passing.turns.length;
  const verdict: Span = !done
    ? ['']
    : passing.solved === null
      ? ['  not graded', colors.dim]
      : passing.solved
        ? ['  \u2713 solved', colors.green]
        : ['  \u2717 not solved', colors.red];
  const head = fitted([[oneLine(passing.rollout, columns - 16), colors.bold], verdict], columns);
  return [head, ...turns, ...empty].slice(0, passingRows + 1);
}
