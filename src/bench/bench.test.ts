/**
 * Each benchmark in its quick mode: that it runs, that its tables hold figures of the right kind, and that what can be
 * counted exactly is right. No test looks at a speed.
 */
import { describe, expect, it } from 'vitest';
import { loadKernelBench } from '../native/kernel-bench.ts';
import { type Bench, runBench } from './bench.ts';
import { decodeBench } from './benches/decode.ts';
import { type KernelRow, kernelsBench } from './benches/kernels.ts';
import { llamaBench } from './benches/llama.ts';
import { type MemoryRow, memoryBench } from './benches/memory.ts';
import { torchBench } from './benches/torch.ts';
import { trainBench } from './benches/train.ts';
import { type TrieRow, trieBench } from './benches/trie.ts';
import { type BenchReport, reportJson, reportMarkdown, reportText } from './report.ts';

async function quick<Options>(bench: Bench<Options>, options: Options): Promise<BenchReport> {
  const told: string[] = [];
  const context = { quick: true, threads: 2, tell: (line: string) => void told.push(line) };
  const report = await runBench(bench, options, context, `npm run espalier -- bench ${bench.name} --quick`);
  expect(told.length).toBeGreaterThan(0);
  return report;
}

function rowsOf<Row>(report: BenchReport, name: string): readonly Row[] {
  return (report.sections.find((section) => section.name === name)?.rows ?? []) as readonly Row[];
}

/** Every spread in the figures is ordered, finite and above 0; returns how many there are. */
function checkSpreads(value: unknown): number {
  if (Array.isArray(value)) return value.reduce<number>((count, each) => count + checkSpreads(each), 0);
  if (typeof value !== 'object' || value === null) return 0;
  if (!('median' in value)) return checkSpreads(Object.values(value));
  const { min, median, max, runs } = value as { min: number; median: number; max: number; runs: number };
  expect(min).toBeGreaterThan(0);
  expect(median).toBeGreaterThanOrEqual(min);
  expect(max).toBeGreaterThanOrEqual(median);
  expect(Number.isFinite(max)).toBe(true);
  expect(runs).toBeGreaterThan(0);
  return 1;
}

/** What every report must say, in each of its forms. */
function checkForms(report: BenchReport): void {
  const json = JSON.parse(JSON.stringify(reportJson(report)));
  expect(json).toMatchObject({ formatVersion: 1, bench: report.bench, machine: { threads: 2 } });
  expect(checkSpreads(json.figures)).toBeGreaterThan(0);
  for (const form of [reportText(report), reportMarkdown(report)]) {
    for (const said of [report.machine.processor, report.machine.instructionSet, report.machine.date]) {
      expect(form).toContain(said);
    }
    for (const not of report.notMeasured) expect(form).toContain(not);
    for (const { columns } of report.sections) for (const { name } of columns) expect(form).toContain(name);
    expect(form).not.toMatch(/NaN|undefined|Infinity/);
  }
  expect(reportMarkdown(report)).toContain(report.command);
}

describe('espalier bench', () => {
  it('kernels: every kernel on every instruction set, on one thread and on two', async () => {
    const report = await quick(kernelsBench, {});
    checkForms(report);
    const sets = loadKernelBench().instructionSets();
    expect(sets).toContain('portable');
    expect(rowsOf(report, 'peak')).toHaveLength(2);
    const kernels = new Set(rowsOf<KernelRow>(report, 'portable').map(({ kernel }) => kernel));
    expect(kernels.size).toBe(11);
    for (const set of sets) {
      const rows = rowsOf<KernelRow>(report, set);
      expect(new Set(rows.map(({ threads }) => threads))).toEqual(new Set([1, 2]));
      expect(new Set(rows.map(({ kernel }) => kernel))).toEqual(kernels);
    }
  }, 180_000);

  it('train: steps of several models', async () => {
    const report = await quick(trainBench, { large: false });
    checkForms(report);
    expect(rowsOf(report, 'steps').length).toBeGreaterThan(1);
  });

  it('trie: nothing is computed twice, and the FLOP bound lies between 1 and the token ratio', async () => {
    const report = await quick(trieBench, { model: '0.5M', full: false });
    checkForms(report);
    const rows = rowsOf<TrieRow>(report, 'made');
    expect(rows).toHaveLength(3);
    for (const { recomputedTokens, tokenRatio, wantedRatio, flopBound, gradientsDifferBy } of rows) {
      expect(recomputedTokens).toBe(0);
      expect(tokenRatio / wantedRatio).toBeCloseTo(1, 0);
      expect(flopBound).toBeGreaterThan(1);
      expect(flopBound).toBeLessThan(tokenRatio);
      expect(gradientsDifferBy).toBeLessThan(1e-4);
    }
  });

  it('trie: names the models that there are when it is given another', async () => {
    await expect(quick(trieBench, { model: '7B', full: false })).rejects.toThrow('there are 0.5M, 1M');
  });

  it('decode: batch 1 and 16', async () => {
    const report = await quick(decodeBench, { large: false });
    checkForms(report);
    expect(rowsOf(report, 'decode')).toMatchObject([{ batch: 1 }, { batch: 16 }]);
    expect(rowsOf(report, 'ratio')).toHaveLength(1);
  });

  it('memory: peaks of processes of their own, limits beside them', async () => {
    const report = await quick(memoryBench, {});
    checkForms(report);
    const rows = rowsOf<MemoryRow>(report, 'peaks');
    expect(rows.map(({ leaves }) => leaves)).toEqual([1, 8, 32, 1]);
    for (const { peakBytes, heldBytes } of rows) {
      expect(peakBytes.min).toBeGreaterThanOrEqual(heldBytes.min);
      expect(peakBytes.max).toBeLessThan(2 * 2 ** 30);
    }
  });

  it('torch and llama: say how to install what is missing', async () => {
    const noPython = quick(torchBench, { python: '/nowhere/python', large: false });
    await expect(noPython).rejects.toThrow('/nowhere/python does not start');
    await expect(noPython).rejects.toThrow('bench/torch/README.md');
    await expect(quick(llamaBench, { modules: '/nowhere' })).rejects.toThrow('bench/llama.cpp/README.md');
  });

  it('refuses to run without a thread', async () => {
    const context = { quick: true, threads: 0, tell: () => {} };
    await expect(runBench(memoryBench, {}, context, '')).rejects.toThrow('--threads 0: give at least 1');
  });
});
