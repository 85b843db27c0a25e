/** Each kernel by itself, at the shapes of five models, on one thread and on all, on every instruction set. */
import { type KernelBench, type KernelCase, loadKernelBench } from '../../native/kernel-bench.ts';
import type { ModelShape } from '../../native/native.ts';
import { whole } from '../../report/format.ts';
import type { Bench, BenchContext } from '../bench.ts';
import { PeakMeter, type Spread, spreadOf } from '../measure.ts';
import { type ModelName, modelNames, models } from '../models.ts';
import { figure, type Section, section, shareText, spreadText, text } from '../report.ts';

export interface KernelRow {
  readonly instructionSet: string;
  readonly threads: number;
  readonly kernel: string;
  readonly model: ModelName;
  readonly sizes: readonly number[];
  /** Floating-point operations of a call. */
  readonly flops: number;
  /** Of a call. */
  readonly seconds: Spread;
  /** Of all threads together. */
  readonly gflops: Spread;
  /** Of the peak on as many threads, read just before each timing. */
  readonly shareOfPeak: Spread;
}

interface PeakRow {
  readonly registers: string;
  readonly threads: number;
  readonly gflops: Spread;
}

/** What is called how: `flops` of one call, as work.ts counts where it counts them. */
interface KernelWish {
  readonly kernel: string;
  readonly model: ModelName;
  readonly sizes: readonly number[];
  readonly flops: number;
}

/** Rows of a training piece (native/train/schedule.h), and of decode at batch 16 and 1. */
const trainingRows = 128;
const decodeRows = [16, 1] as const;
/** Positions before those rows: the end of a context of 1,024. */
const positionsBefore = 896;

function matrixWishes(model: ModelName): KernelWish[] {
  const { hiddenSize, intermediateSize } = models[model];
  // gate_proj and up_proj in one: half of a layer's matrix work, and the widest product but the logits.
  const [outputs, inputs] = [2 * intermediateSize, hiddenSize];
  const wish = (kernel: string, rows: number): KernelWish => {
    return { kernel, model, sizes: [rows, outputs, inputs], flops: 2 * rows * outputs * inputs };
  };
  return [
    wish('matrix forward', trainingRows),
    wish('matrix dX', trainingRows),
    wish('matrix dW', trainingRows),
    ...decodeRows.map((rows) => wish('matrix forward', rows)),
  ];
}

function attentionWishes(model: ModelName): KernelWish[] {
  const { headCount, kvHeadCount, headDim }: ModelShape = models[model];
  const wish = (kernel: string, rows: number, before: number, products: number): KernelWish => ({
    ...{ kernel, model, sizes: [rows, before, headCount, kvHeadCount, headDim] },
    flops: 2 * products * headCount * headDim * (rows * before + (rows * (rows + 1)) / 2),
  });
  return [
    wish('attention forward', trainingRows, positionsBefore, 2),
    wish('attention backward', trainingRows, positionsBefore, 4),
    wish('attention forward', 1, positionsBefore + trainingRows - 1, 2),
  ];
}

/** These are bound by memory or by exp; operations of an element are those of their formula, exp counted as 12. */
function rowWishes(model: ModelName): KernelWish[] {
  const { hiddenSize, intermediateSize, headCount, kvHeadCount, headDim, vocabSize }: ModelShape = models[model];
  const wish = (kernel: string, sizes: readonly number[], each: number): KernelWish => {
    return { kernel, model, sizes, flops: each * sizes.reduce((product, size) => product * size, 1) };
  };
  return [
    wish('norm forward', [trainingRows, hiddenSize], 4),
    wish('norm backward', [trainingRows, hiddenSize], 10),
    wish('rope', [trainingRows, headCount + kvHeadCount, headDim], 3),
    wish('swiglu forward', [trainingRows, intermediateSize], 16),
    wish('swiglu backward', [trainingRows, intermediateSize], 24),
    wish('log-prob', [16, vocabSize], 17),
  ];
}

function wishes(quick: boolean): KernelWish[] {
  const matrices: readonly ModelName[] = quick ? ['0.5M'] : modelNames;
  const others: readonly ModelName[] = quick ? ['0.5M'] : ['1M', '135M'];
  return [...matrices.flatMap(matrixWishes), ...others.flatMap(attentionWishes), ...others.flatMap(rowWishes)];
}

/** Calls that take about `seconds`, at least one. */
function callsFor(bench: KernelBench, prepared: KernelCase, seconds: number): number {
  let calls = 1;
  let took = bench.run(prepared, calls);
  while (took < seconds / 4) {
    calls *= 2;
    took = bench.run(prepared, calls);
  }
  return Math.max(1, Math.round((calls * seconds) / took));
}

function measure(bench: KernelBench, peak: PeakMeter, wish: KernelWish, threads: number, quick: boolean) {
  const prepared = bench.prepare(wish.kernel, Int32Array.from(wish.sizes));
  const calls = quick ? 1 : callsFor(bench, prepared, 8e-3);
  // A call that fills the time by itself is steadier than many short ones, and there are minutes of them.
  const runs = quick ? 2 : calls > 1 ? 7 : 3;
  const seconds: number[] = [];
  const rates: number[] = [];
  const shares: number[] = [];
  for (let run = 0; run < runs; run++) {
    const best = peak.read();
    const each = bench.run(prepared, calls) / calls;
    const rate = (threads * wish.flops) / each;
    seconds.push(each);
    rates.push(rate / 1e9);
    shares.push(rate / best);
  }
  return { seconds: spreadOf(seconds), gflops: spreadOf(rates), shareOfPeak: spreadOf(shares) };
}

function microseconds(seconds: number): string {
  return seconds < 1e-4 ? (1e6 * seconds).toPrecision(3) : whole(1e6 * seconds);
}
const oneDigit = (value: number): string => value.toFixed(1);

function kernelSections(rows: readonly KernelRow[]): Section[] {
  const sets = [...new Set(rows.map(({ instructionSet }) => instructionSet))];
  return sets.map((set) =>
    section(
      set,
      `Kernels, ${set}`,
      rows.filter(({ instructionSet }) => instructionSet === set),
      [
        text('kernel', ({ kernel }) => kernel),
        text('model', ({ model }) => model),
        text('sizes', ({ sizes }) => sizes.join(' x ')),
        figure('threads', ({ threads }) => String(threads)),
        figure('µs a call', ({ seconds }) => spreadText(seconds, microseconds)),
        figure('GFLOP/s', ({ gflops }) => spreadText(gflops, oneDigit)),
        figure('of the peak', ({ shareOfPeak }) => shareText(shareOfPeak)),
      ],
    ),
  );
}

async function run(_: object, { quick, threads: most, tell }: BenchContext): Promise<Section[]> {
  const bench = loadKernelBench();
  const peak = new PeakMeter(bench, quick ? 0.1 : 3);
  const rows: KernelRow[] = [];
  const peaks: PeakRow[] = [];
  for (const threads of new Set([1, most])) {
    bench.setThreads(threads);
    const readings = Array.from({ length: quick ? 2 : 9 }, () => peak.read() / 1e9);
    peaks.push({ registers: peak.width, threads, gflops: spreadOf(readings) });
    for (const instructionSet of bench.instructionSets()) {
      bench.useInstructionSet(instructionSet);
      tell(`${instructionSet}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`);
      for (const wish of wishes(quick)) {
        rows.push({ instructionSet, threads, ...wish, ...measure(bench, peak, wish, threads, quick) });
      }
    }
  }
  return [
    section('peak', 'The peak: fused multiply-adds in registers', peaks, [
      text('registers', ({ registers }) => registers),
      figure('threads', ({ threads }) => String(threads)),
      figure('GFLOP/s', ({ gflops }) => spreadText(gflops, oneDigit)),
    ]),
    ...kernelSections(rows),
  ];
}

export const kernelsBench: Bench<object> = {
  name: 'kernels',
  measures: 'each kernel alone, a copy of its rows and results in each thread, weights shared',
  notMeasured: [
    'weights that come from memory: calls repeat, so operands lie in caches (decode streams them)',
    'what a step does between kernels (train measures the whole step)',
    'other products than gate_proj and up_proj, which have the shape of the widest ones',
  ],
  run,
};
