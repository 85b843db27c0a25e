/**
 * What a benchmark is: a name, what it measures and what not, and a function that fills its tables.
 *
 * Everything that a run of all benchmarks shares lies here; the kinds lie in benches/.
 */
import { EspalierError } from '../core/errors.ts';
import { loadNative } from '../native/native.ts';
import { type BenchReport, machineOf, type Section } from './report.ts';

export interface BenchContext {
  /** A few seconds instead of minutes, for tests: figures of the right kind and of no value. */
  readonly quick: boolean;
  readonly threads: number;
  /** Progress, for people who wait. */
  readonly tell: (line: string) => void;
}

export interface Bench<Options> {
  readonly name: string;
  readonly measures: string;
  readonly notMeasured: readonly string[];
  run(options: Options, context: BenchContext): Promise<Section[]>;
}

/** `command` is what the user typed, so that whoever reads the figures can take them again. */
export async function runBench<Options>(
  bench: Bench<Options>,
  options: Options,
  context: BenchContext,
  command: string,
): Promise<BenchReport> {
  if (context.threads < 1) throw new EspalierError('config', `--threads ${context.threads}: give at least 1`);
  const { name, measures, notMeasured } = bench;
  // Before the work: afterwards the load would be the benchmark's own.
  const machine = machineOf(loadNative().instructionSet(), context.threads);
  return { bench: name, command, machine, measures, notMeasured, sections: await bench.run(options, context) };
}
