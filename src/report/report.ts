/**
 * `report.html`: what a run was and what it did, in one file that needs nothing else.
 *
 * Not here: how figures are computed. The report only shows rows and transcripts that it is given.
 *
 * Invariants:
 * 1. The file loads nothing: no network, no script; its content security policy forbids both and allows one style sheet
 *    by its hash, so text that got past the escaping still could not run or load anything.
 * 2. The same input gives the same bytes: no clock, no host name, no path of the machine.
 */
import { createHash } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EspalierError, messageOf } from '../core/errors.ts';
import { renderChart } from './chart.ts';
import { heldOutChart, latestByStep, setsOf } from './curves.ts';
import { renderPanels } from './panels.ts';
import type { EvalRow, MetricsRow, Summary } from './rows.ts';
import { factsOf, renderEvaluationTable, renderFacts, renderHeroes, renderSetTable, renderTable } from './summary.ts';
import { escapeHtml } from './text.ts';
import { pageStyle } from './theme.ts';
import { renderTranscript, type Transcript } from './transcript.ts';

export interface Report {
  /** The run's name, e.g. `start`. */
  readonly name: string;
  /** What the run was: model, seed, tasks, objective, machine ... shown in this order. */
  readonly facts: readonly { readonly name: string; readonly value: string }[];
  readonly metrics: readonly MetricsRow[];
  readonly evaluations: readonly EvalRow[];
  readonly summary: Summary;
  /** One held-out task; null when none was kept. */
  readonly example: Example | null;
}

export interface Example {
  readonly task: string;
  readonly statement: string;
  readonly before: Transcript;
  readonly after: Transcript;
}

/** Writes `report.html` whole or not at all, and returns its path. Throws EspalierError when it cannot be written. */
export function writeReport(runDirectory: string, report: Report): string {
  const path = join(runDirectory, 'report.html');
  try {
    writeFileSync(`${path}.tmp`, renderReport(report), { flush: true });
    renameSync(`${path}.tmp`, path);
  } catch (cause) {
    throw new EspalierError('store', `cannot write ${path}: ${messageOf(cause)}`, { cause });
  }
  return path;
}

const styleHash = createHash('sha256').update(pageStyle).digest('base64');
const policy = `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'`;

/** A trunk with three pairs of trained branches: prefixes that share a stem. */
const mark =
  '<svg class="mark" viewBox="0 0 56 56" aria-hidden="true"><path d="M28 53V9M28 42H16Q8 42 8 34V30M28 42H40Q48 42 48 34V30' +
  'M28 27H20Q14 27 14 21V17M28 27H36Q42 27 42 21V17"/>' +
  '<circle cx="28" cy="6" r="3.5"/><circle cx="8" cy="27" r="3.5"/><circle cx="48" cy="27" r="3.5"/>' +
  '<circle cx="14" cy="14" r="3.5"/><circle cx="42" cy="14" r="3.5"/></svg>';

export function renderReport(report: Report): string {
  const { name, facts, metrics, evaluations, summary, example } = report;
  const steps = latestByStep(metrics);
  const subtitle = facts.map((fact) => `${fact.name} ${fact.value}`).join(' \u00b7 ');
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="color-scheme" content="light dark">',
    `<title>${escapeHtml(name)}: an Espalier run</title>`,
    `<style>${pageStyle}</style></head><body><main>`,
    `<header>${mark}<div><h1>Espalier run: ${escapeHtml(name)}</h1><p>${escapeHtml(subtitle)}</p></div></header>`,
    renderHeroes(summary),
    renderFacts(factsOf(steps, summary)),
    renderHeldOut(evaluations, summary),
    example === null ? '' : renderExample(example),
    '<h2>Training, step by step</h2><p class="lede">Every point is one optimizer step; point at a chart to read it.</p>',
    renderPanels(steps),
    renderStepTable(steps),
    glossary,
    '<footer>Written by Espalier. This file loads nothing and runs nothing.</footer>',
    '</main></body></html>\n',
  ].join('\n');
}

function renderHeldOut(evaluations: readonly EvalRow[], summary: Summary): string {
  const charts = setsOf(evaluations).map((held) => {
    const chart = renderChart(heldOutChart(evaluations, [held], { width: 560, height: 320, labelWidth: 104 }));
    const holds = held.holds === null ? '' : `<p>${escapeHtml(held.holds)}</p>`;
    return `<figure><h3>${escapeHtml(held.set)}</h3>${holds}${chart}</figure>`;
  });
  return [
    '<h2>Held-out tasks</h2>',
    '<p class="lede">Repositories with a bug that training never drew. The policy reads, edits and tests; hidden tests ',
    'decide.</p>',
    `<div class="wide">${charts.join('\n')}</div>`,
    renderSetTable(summary),
    `<details><summary>Every evaluation</summary>${renderEvaluationTable(evaluations)}</details>`,
  ].join('');
}

function renderExample({ task, statement, before, after }: Example): string {
  return [
    '<h2>One held-out task, before and after</h2>',
    `<p class="lede">${escapeHtml(task)}, given to the policy that training started from and to the one it ended with.</p>`,
    `<p class="statement said">${escapeHtml(statement.trim())}</p>`,
    `<div class="pair">${renderTranscript('Before training', before)}${renderTranscript('After training', after)}</div>`,
  ].join('\n');
}

/** The rows as they are on disk, under the names that they have there. */
function renderStepTable(rows: readonly MetricsRow[]): string {
  const names = Object.keys(rows[0] ?? {}).filter((name) => name !== 'formatVersion') as (keyof MetricsRow)[];
  const cell = (value: number | null): string =>
    value === null ? '\u2013' : String(Number.isInteger(value) ? value : Number(value.toPrecision(4)));
  const body = rows.map((row) => names.map((name) => cell(row[name])));
  const table = renderTable(
    names.map((name) => ({ name })),
    body,
  );
  return `<details><summary>Every step</summary>${table}</details>`;
}

const definitions: readonly (readonly [string, string])[] = [
  ['turn', 'One request to the model and its completion; a turn may hold several tool calls.'],
  ['parallel share', 'Turns with two or more tool calls, of all turns.'],
  [
    '95% interval',
    'Bootstrap that draws program fragments, not tasks, since tasks of one fragment succeed and fail together. ' +
      'Differences are paired: the same tasks before and after.',
  ],
  [
    'sharing ratio',
    'Training computes each shared prefix of a group once. Per request: against one flat sample for each model call. ' +
      'Merged: against one flat sample for each root-to-leaf trajectory, the strongest flat baseline.',
  ],
  [
    'log-probability gap',
    'The sampler records a log-probability for each token; the trainer computes it again before it changes the weights. ' +
      'The gap is the largest difference. The trainer looks at tokens sampled under the version that it updates.',
  ],
  ['sampled, greedy', 'Sampled draws at temperature 1; greedy takes the likeliest token.'],
];

const glossary = [
  '<h2>Words</h2><dl class="notes">',
  ...definitions.map(([word, meaning]) => `<dt>${escapeHtml(word)}</dt><dd>${escapeHtml(meaning)}</dd>`),
  '</dl>',
].join('');
