/** What training did, step by step: a table of small charts over `metrics.jsonl`. */
import { type Chart, type Point, renderChart, type Series } from './chart.ts';
import { latestByStep } from './curves.ts';
import { fixed, gap, percent, ratio, whole } from './format.ts';
import type { MetricsRow } from './rows.ts';
import { escapeHtml } from './text.ts';

interface Line {
  readonly label: string;
  readonly color: Series['color'];
  readonly value: (row: MetricsRow) => number | null;
}

interface Panel {
  readonly title: string;
  readonly says: string;
  readonly yLabel: string;
  readonly lines: readonly Line[];
  readonly format: Chart['format'];
  /** Ends of the y axis; `atLeast` widens it when the figures are smaller. */
  readonly yLow?: number;
  readonly yHigh?: number;
  readonly atLeast?: number;
}

const perSecond = (tokens: number | null, seconds: number): number | null => ratio(tokens, seconds);

const panels: readonly Panel[] = [
  {
    title: 'Training pass rate',
    says: 'Graded rollouts of the batch that solved their task.',
    yLabel: 'rollouts solved',
    lines: [{ label: '', color: 3, value: (row) => row.passRate }],
    format: (value) => percent(value),
    yLow: 0,
    yHigh: 1,
  },
  {
    title: 'Turns',
    says: 'Model calls that a rollout took, mean.',
    yLabel: 'turns a rollout',
    lines: [{ label: '', color: 3, value: (row) => row.turnsMean }],
    format: (value) => fixed(value, 1),
    yLow: 0,
  },
  {
    title: 'Parallel share',
    says: 'Turns with two or more tool calls.',
    yLabel: 'share of turns',
    lines: [{ label: '', color: 3, value: (row) => row.parallelShare }],
    format: (value) => percent(value),
    yLow: 0,
    atLeast: 0.2,
  },
  {
    title: 'Speed',
    says: 'Tokens over the wall time of the whole step: sampling, tools, grading and training.',
    yLabel: 'tokens a second',
    lines: [
      { label: 'sampled', color: 1, value: (row) => perSecond(row.sampledTokens, row.seconds) },
      { label: 'trained', color: 4, value: (row) => perSecond(row.treeTokens, row.seconds) },
    ],
    format: whole,
    yLow: 0,
  },
  {
    title: 'Sharing ratio',
    says: 'Tokens of flat training over tokens of the trie: one sample a request, or one a trajectory (merged).',
    yLabel: 'flat tokens / trie tokens',
    lines: [
      { label: 'per request', color: 1, value: (row) => ratio(row.flatTokensPerRequest, row.treeTokens) },
      { label: 'merged', color: 4, value: (row) => ratio(row.flatTokensMerged, row.treeTokens) },
    ],
    format: (value) => `${fixed(value, 1)}\u00d7`,
    yLow: 0,
  },
  {
    title: 'Log-probability gap',
    says: 'Largest difference between recorded and recomputed. Exactly 0 is the promise.',
    yLabel: 'nats',
    lines: [{ label: '', color: 2, value: (row) => row.maxLogprobGap }],
    format: gap,
    yLow: 0,
    atLeast: 1e-6,
  },
  {
    title: 'Entropy',
    says: 'Of the distributions that tokens were sampled from, mean.',
    yLabel: 'nats a token',
    lines: [{ label: '', color: 3, value: (row) => row.entropy }],
    format: (value) => fixed(value, 2),
    yLow: 0,
  },
  {
    title: 'Clip fraction',
    says: 'Loss terms whose probability ratio left the trust region.',
    yLabel: 'share of terms',
    lines: [{ label: '', color: 3, value: (row) => row.clipFraction }],
    format: (value) => percent(value, 1),
    yLow: 0,
    atLeast: 0.02,
  },
  {
    title: 'Dropped groups',
    says: 'Groups whose rewards were all equal: they teach nothing and are drawn again.',
    yLabel: 'groups a step',
    lines: [{ label: '', color: 3, value: (row) => row.droppedGroups }],
    format: whole,
    yLow: 0,
    atLeast: 4,
  },
];

export function renderPanels(rows: readonly MetricsRow[]): string {
  const steps = latestByStep(rows);
  return `<div class="small">${panels.map((panel) => renderPanel(panel, steps)).join('\n')}</div>`;
}

function renderPanel(panel: Panel, rows: readonly MetricsRow[]): string {
  const series = panel.lines.map(
    ({ label, color, value }): Series => ({
      label,
      color,
      points: rows.map((row): Point => ({ x: row.step, y: value(row) })),
    }),
  );
  const known = series.some(({ points }) => points.some(({ y }) => y !== null));
  return [
    `<figure><h3>${escapeHtml(panel.title)}</h3><p>${escapeHtml(panel.says)}</p>`,
    known ? renderChart(chartOf(panel, series)) : '<p>This engine does not give the figure.</p>',
    '</figure>',
  ].join('');
}

function chartOf({ title, yLabel, format, yLow, yHigh, atLeast }: Panel, series: readonly Series[]): Chart {
  const highest = Math.max(0, ...series.flatMap(({ points }) => points.map(({ y }) => y ?? 0)));
  const high = yHigh ?? (atLeast !== undefined && highest < atLeast ? atLeast : undefined);
  return {
    title: `${title}: ${yLabel} over optimizer steps`,
    yLabel,
    xLabel: 'optimizer step',
    series,
    width: 380,
    height: 205,
    labelWidth: series.length > 1 ? 122 : 52,
    format,
    ...(yLow === undefined ? {} : { yLow }),
    ...(high === undefined ? {} : { yHigh: high }),
  };
}
