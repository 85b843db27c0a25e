/** Peak resident memory of a training step, each in a process of its own. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { percent, whole } from '../../report/format.ts';
import type { Bench, BenchContext } from '../bench.ts';
import { type Spread, spreadOf } from '../measure.ts';
import type { MemoryFigures, MemoryWish } from '../memory-child.ts';
import { figure, type Section, section, spreadText, text } from '../report.ts';

export interface MemoryRow extends MemoryWish {
  readonly tokens: number;
  readonly heldBytes: Spread;
  readonly peakBytes: Spread;
  /** What the peak should not exceed, bytes, or null. */
  readonly limitBytes: number | null;
}

export interface MemoryGrowthRow {
  readonly leaves: number;
  readonly againstLeaves: number;
  /** Median peak of the first over that of the second, minus 1. */
  readonly growth: number;
  readonly limit: number;
}

const growthLimit = 0.1;
const contextLimitBytes = 2 * 2 ** 30;

async function measure(wish: MemoryWish, runs: number): Promise<Omit<MemoryRow, 'limitBytes'>> {
  const child = join(import.meta.dirname, '..', 'memory-child.ts');
  const figures: MemoryFigures[] = [];
  for (let run = 0; run < runs; run++) {
    const { stdout } = await promisify(execFile)(process.execPath, [child, JSON.stringify(wish)]);
    figures.push(JSON.parse(stdout) as MemoryFigures);
  }
  return {
    ...wish,
    tokens: figures[0]?.tokens ?? 0,
    heldBytes: spreadOf(figures.map(({ heldBytes }) => heldBytes)),
    peakBytes: spreadOf(figures.map(({ peakBytes }) => peakBytes)),
  };
}

const mebibytes = (bytes: number): string => whole(bytes / 2 ** 20);

async function run(_: object, { quick, threads, tell }: BenchContext): Promise<Section[]> {
  const runs = quick ? 1 : 3;
  const group: Omit<MemoryWish, 'leaves'> = {
    ...{ model: quick ? '0.5M' : '1M', context: quick ? 256 : 2048, ownTokens: quick ? 16 : 64, threads },
  };
  const leaves = quick ? 32 : 512;
  tell('one path');
  const path = await measure({ ...group, leaves: 1 }, runs);
  // Busies every gradient lane, each of which has memory of its own: what more leaves cost beyond that.
  const few = 8;
  tell(`${few} leaves`);
  const lanes = await measure({ ...group, leaves: few }, runs);
  tell(`${leaves} leaves`);
  const tree = await measure({ ...group, leaves }, runs);
  const long: MemoryWish = quick
    ? { model: '1M', context: 512, leaves: 1, ownTokens: 64, threads }
    : { model: '5M', context: 8192, leaves: 1, ownTokens: 64, threads };
  tell(`a context of ${long.context} at ${long.model} parameters`);
  const longest = await measure(long, runs);
  const rows: MemoryRow[] = [
    { ...path, limitBytes: null },
    { ...lanes, limitBytes: null },
    { ...tree, limitBytes: path.peakBytes.median * (1 + growthLimit) },
    { ...longest, limitBytes: contextLimitBytes },
  ];
  const growth = [path, lanes].map(
    (base): MemoryGrowthRow => ({
      ...{ leaves, againstLeaves: base.leaves, limit: growthLimit },
      growth: tree.peakBytes.median / base.peakBytes.median - 1,
    }),
  );
  return [
    section<MemoryRow>('peaks', `Resident memory of one step on ${threads} threads, MiB`, rows, [
      text('model', ({ model }) => model),
      figure('context', ({ context }) => whole(context)),
      figure('leaves', (row) => whole(row.leaves)),
      figure('tokens', ({ tokens }) => whole(tokens)),
      figure('before the step', ({ heldBytes }) => spreadText(heldBytes, mebibytes)),
      figure('peak', ({ peakBytes }) => spreadText(peakBytes, mebibytes)),
      figure('limit', ({ limitBytes }) => whole(limitBytes === null ? null : limitBytes / 2 ** 20)),
    ]),
    section('growth', 'Peak of many leaves against few', growth, [
      figure('leaves', (row) => whole(row.leaves)),
      figure('against', ({ againstLeaves }) => whole(againstLeaves)),
      figure('growth', (row) => percent(row.growth, 1)),
      figure('limit', (row) => percent(row.limit)),
    ]),
  ];
}

export const memoryBench: Bench<object> = {
  name: 'memory',
  measures: 'peak resident memory of a process that makes a model and takes one step, Node included',
  notMeasured: [
    'sampling and its key/value cache',
    'the proxy and the record',
    'memory that is mapped but not touched',
  ],
  run,
};
