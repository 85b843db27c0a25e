/**
 * What a benchmark hands back, and how it is written: for people, as Markdown, or as one JSON object.
 *
 * Every form says the machine, what was measured, how often, and what was not. A figure that could not be had is null
 * in JSON and a dash in tables, never 0.
 */
import { execFileSync } from 'node:child_process';
import { cpus, loadavg } from 'node:os';
import { absent, percent, whole } from '../report/format.ts';
import { alignedTable, type TableColumn } from '../report/table.ts';
import type { Spread } from './measure.ts';

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  /** Of the engine. */
  readonly instructionSet: string;
  readonly threads: number;
  readonly node: string;
  /** Of this source, or null outside a git work tree. */
  readonly commit: string | null;
  /** UTC, YYYY-MM-DD. */
  readonly date: string;
  /** Of the last minute when the benchmark began: above 0.3 or so, the machine is not quiet. */
  readonly load: number;
}

/** One table: rows for programs, cells for people. */
export interface Section {
  readonly name: string;
  readonly title: string;
  readonly rows: readonly object[];
  readonly columns: readonly TableColumn[];
  readonly cells: readonly (readonly string[])[];
}

export interface Column<Row> extends TableColumn {
  readonly cell: (row: Row) => string;
}

export interface BenchReport {
  readonly bench: string;
  readonly command: string;
  readonly machine: Machine;
  readonly measures: string;
  readonly notMeasured: readonly string[];
  readonly sections: readonly Section[];
}

export function section<Row extends object>(
  name: string,
  title: string,
  rows: readonly Row[],
  columns: readonly Column<Row>[],
): Section {
  return { name, title, rows, columns, cells: rows.map((row) => columns.map(({ cell }) => cell(row))) };
}

export function text<Row>(name: string, cell: (row: Row) => string): Column<Row> {
  return { name, cell };
}

export function figure<Row>(name: string, cell: (row: Row) => string): Column<Row> {
  return { name, cell, align: 'right' };
}

/** `median [min, max]`, each as `format` writes it. */
export function spreadText(spread: Spread | null, format: (value: number) => string): string {
  if (spread === null) return absent;
  const { median, min, max, runs } = spread;
  return runs === 1 ? `${format(median)} (1 run)` : `${format(median)} [${format(min)}, ${format(max)}]`;
}

export const shareText = (share: Spread | null): string => spreadText(share, percent);
export const rateText = (rate: Spread | null): string => spreadText(rate, whole);
export const timesText = (ratio: Spread | null): string => spreadText(ratio, (value) => value.toFixed(2));

export function machineOf(instructionSet: string, threads: number): Machine {
  const all = cpus();
  return {
    processor: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    ...{ instructionSet, threads },
    node: process.version,
    commit: commit(),
    date: new Date().toISOString().slice(0, 10),
    load: loadavg()[0] ?? 0,
  };
}

function commit(): string | null {
  try {
    const git = ['rev-parse', '--short', 'HEAD'];
    return execFileSync('git', git, { cwd: import.meta.dirname, encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return null;
  }
}

function machineLine({ processor, cores, instructionSet, threads, node, commit: at, date, load }: Machine): string {
  const source = at === null ? '' : `, commit ${at}`;
  return `${cores} x ${processor}, ${instructionSet}, ${threads} threads, Node ${node}${source}, ${date}, load ${load.toFixed(2)}`;
}

const spreadNote = 'Cells with brackets: median [least, most] of the runs.';

export function reportText(report: BenchReport): string {
  const tables = report.sections.map(({ title, columns, cells }) => `${title}\n${alignedTable(columns, cells)}`);
  const not = report.notMeasured.map((what) => `  ${what}`).join('\n');
  return [
    `${report.bench}: ${report.measures}`,
    machineLine(report.machine),
    `${spreadNote}\n`,
    ...tables,
    `Not measured:\n${not}`,
  ].join('\n');
}

function markdownTable(columns: readonly TableColumn[], cells: readonly (readonly string[])[]): string {
  const widths = columns.map(({ name }, at) => Math.max(name.length, 3, ...cells.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${columns.map(({ align }, at) => (align === 'right' ? (row[at] ?? '').padStart(widths[at] ?? 0) : (row[at] ?? '').padEnd(widths[at] ?? 0))).join(' | ')} |`;
  const rule = columns.map(({ align }, at) => {
    const dashes = '-'.repeat((widths[at] ?? 3) - (align === 'right' ? 1 : 0));
    return align === 'right' ? `${dashes}:` : dashes;
  });
  return [line(columns.map(({ name }) => name)), `| ${rule.join(' | ')} |`, ...cells.map(line)].join('\n');
}

/** As docs/performance.md has it: the command, the machine, the tables. */
export function reportMarkdown(report: BenchReport): string {
  const tables = report.sections.map(({ title, columns, cells }) => `${title}\n\n${markdownTable(columns, cells)}`);
  return [
    `\`\`\`sh\n${report.command}\n\`\`\``,
    `${machineLine(report.machine)}. ${spreadNote}`,
    ...tables,
    `Not measured: ${report.notMeasured.join('; ')}.`,
  ].join('\n\n');
}

export function reportJson({ sections, ...report }: BenchReport): object {
  return {
    formatVersion: 1,
    ...report,
    figures: Object.fromEntries(sections.map(({ name, rows }) => [name, rows])),
  };
}
