/** The top of the report: what changed from the first to the last evaluation, and the promises that were kept. */
import { type HeldOutSet, setsOf } from './curves.ts';
import { duration, gap, percent, points, whole } from './format.ts';
import type { EvalRow, MetricsRow, SetSummary, Summary } from './rows.ts';
import { escapeHtml } from './text.ts';

/** A fact under the heroes. `kept` is null for a figure that is no promise. */
export interface Fact {
  readonly name: string;
  readonly value: string;
  readonly kept: boolean | null;
}

export function renderHeroes({ sets }: Summary): string {
  const sampled = sets.filter((row) => row.decoding === 'sampled');
  const heroes = setsOf(sampled).flatMap((held) =>
    sampled.filter((row) => row.set === held.set).map((row) => renderHero(row, held)),
  );
  return `<div class="heroes">${heroes.join('\n')}</div>`;
}

function renderHero(row: SetSummary, { color, holds }: HeldOutSet): string {
  return [
    `<section class="hero s${color}"><h3>${escapeHtml(row.set)}</h3>`,
    `<p class="what">${whole(row.last.tasks)} held-out tasks${holds === null ? '' : `: ${escapeHtml(holds)}`}</p>`,
    `<p class="change"><span class="from">${percent(row.first.passRate)} \u2192</span> `,
    `<span class="to">${percent(row.last.passRate)}</span></p>`,
    `<p><span class="gain">${points(row.difference)} points</span>${between(row.low, row.high, points)}, `,
    'at temperature 1</p></section>',
  ].join('');
}

function between(low: number | null, high: number | null, format: (value: number) => string): string {
  return low === null || high === null ? '' : ` (95% interval ${format(low)} to ${format(high)})`;
}

const sum = (rows: readonly MetricsRow[], of: (row: MetricsRow) => number): number =>
  rows.reduce((total, row) => total + of(row), 0);

export function factsOf(rows: readonly MetricsRow[], summary: Summary): Fact[] {
  const gaps = rows.flatMap((row) => (row.maxLogprobGap === null ? [] : [row.maxLogprobGap]));
  const largest = gaps.length === 0 ? null : Math.max(...gaps);
  const gapTokens = sum(rows, (row) => row.gapTokens);
  const turns = sum(rows, (row) => row.turns);
  const exact = sum(rows, (row) => row.exactTurns);
  const again = sum(rows, (row) => row.retokenizedSampledTokens);
  return [
    { name: 'optimizer steps', value: whole(summary.steps), kept: null },
    { name: 'wall time', value: duration(summary.seconds), kept: null },
    { name: 'tokens sampled in training', value: whole(sum(rows, (row) => row.sampledTokens)), kept: null },
    {
      name: `largest log-probability gap over ${whole(gapTokens)} tokens`,
      value: gap(largest),
      kept: largest === null ? null : largest === 0 && gapTokens > 0,
    },
    {
      name: 'turns with exact ids on both sides',
      value: exact === turns ? `all ${whole(turns)}` : `${whole(exact)} of ${whole(turns)}`,
      kept: exact === turns,
    },
    { name: 'sampled tokens tokenized again', value: whole(again), kept: again === 0 },
    { name: 'rollouts failed by infrastructure', value: whole(sum(rows, (row) => row.failures)), kept: null },
  ];
}

export function renderFacts(facts: readonly Fact[]): string {
  const cells = facts.map(({ name, value, kept }) => {
    const mark = kept === null ? '' : kept ? ' class="ok"' : ' class="broken"';
    return `<div${mark}><dd>${escapeHtml(value)}</dd><dt>${escapeHtml(name)}</dt></div>`;
  });
  return `<dl class="facts">${cells.join('')}</dl>`;
}

interface Column {
  readonly name: string;
  readonly text?: boolean;
  readonly strong?: boolean;
}

/** Cells are escaped here. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const head = columns.map(
    ({ name, text }) => `<th scope="col"${text ? ' class="text"' : ''}>${escapeHtml(name)}</th>`,
  );
  const body = rows.map((row) => {
    const cells = row.map((cell, index) => {
      const names = [columns[index]?.text ? 'text' : '', columns[index]?.strong ? 'strong' : ''].join(' ').trim();
      return `<td${names === '' ? '' : ` class="${names}"`}>${escapeHtml(cell)}</td>`;
    });
    return `<tr>${cells.join('')}</tr>`;
  });
  return `<div class="scroll"><table><thead><tr>${head.join('')}</tr></thead><tbody>${body.join('\n')}</tbody></table></div>`;
}

const interval = (low: number | null, high: number | null, format: (value: number) => string): string =>
  low === null || high === null ? '\u2013' : `${format(low)} to ${format(high)}`;

export function renderSetTable({ sets }: Summary): string {
  const names = ['first', 'last', 'difference (points)', '95% interval'];
  const columns: Column[] = [
    { name: 'set', text: true },
    { name: 'decoding', text: true },
    ...names.map((name) => ({ name, strong: name === 'last' || name.startsWith('difference') })),
    ...['pass@8', 'turns', 'parallel share', 'tasks', 'rollouts'].map((name) => ({ name })),
  ];
  const change = (first: string, last: string): string => `${first} \u2192 ${last}`;
  return renderTable(
    columns,
    sets.map((row) => [
      row.set,
      row.decoding,
      percent(row.first.passRate, 1),
      percent(row.last.passRate, 1),
      points(row.difference),
      interval(row.low, row.high, points),
      row.passAt8First === null && row.passAt8Last === null
        ? '\u2013'
        : change(percent(row.passAt8First), percent(row.passAt8Last)),
      change(row.first.turnsMean?.toFixed(2) ?? '\u2013', row.last.turnsMean?.toFixed(2) ?? '\u2013'),
      change(percent(row.first.parallelShare), percent(row.last.parallelShare)),
      whole(row.last.tasks),
      whole(row.last.rollouts),
    ]),
  );
}

export function renderEvaluationTable(rows: readonly EvalRow[]): string {
  const numbers = ['step', 'passRate', '95% interval', 'tasks', 'rollouts', 'turns', 'parallel share', 'seconds'];
  return renderTable(
    [{ name: 'set', text: true }, { name: 'decoding', text: true }, ...numbers.map((name) => ({ name }))],
    rows.map((row) => [
      row.set,
      row.decoding,
      whole(row.step),
      percent(row.passRate, 1),
      interval(row.low, row.high, (value) => percent(value, 1)),
      whole(row.tasks),
      whole(row.rollouts),
      row.turnsMean?.toFixed(2) ?? '\u2013',
      percent(row.parallelShare, 1),
      row.seconds.toFixed(1),
    ]),
  );
}
