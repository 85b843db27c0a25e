/**
 * How times are taken: side by side in one run, in changing order, ratios within a round, then their spread.
 *
 * A machine changes while it is measured (other work, clock, temperature), so two figures that were taken one after
 * the other cannot be compared; two of one round can.
 */
import type { KernelBench } from '../native/kernel-bench.ts';

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
  readonly runs: number;
}

/** Of at least one value. The median of an even number is the mean of the middle two. */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('no run was measured');
  const sorted = values.toSorted((a, b) => a - b);
  const at = (index: number): number => sorted[index] as number;
  const half = sorted.length >> 1;
  return {
    min: at(0),
    median: sorted.length % 2 === 1 ? at(half) : (at(half - 1) + at(half)) / 2,
    max: at(sorted.length - 1),
    runs: sorted.length,
  };
}

/** The spread of a[i] / b[i]. */
export function ratioOf(a: readonly number[], b: readonly number[]): Spread {
  return spreadOf(a.map((value, round) => value / (b[round] as number)));
}

export interface Rounds {
  /** At most so many. */
  readonly rounds: number;
  /** After so many seconds no further round begins; the first one always runs. */
  readonly seconds: number;
}

/**
 * Runs each case once a round, beginning with another one each time. A case returns what is compared (seconds, say).
 * Result: for each case one value a round, in order.
 */
export async function alternate<Name extends string>(
  cases: Readonly<Record<Name, () => number | Promise<number>>>,
  { rounds, seconds }: Rounds,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(cases) as Name[];
  const values = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  const begun = performance.now();
  for (let round = 0; round < rounds && (round === 0 || performance.now() - begun < 1000 * seconds); round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length] as Name;
      values[name].push(await cases[name]());
    }
  }
  return values;
}

export async function secondsOf(work: () => unknown): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
}

/** The processor's peak, to be read beside each timing: a figure of the same moment and the same threads. */
export class PeakMeter {
  readonly #bench: KernelBench;
  readonly #width: number;
  readonly #steps: number;
  /** Name of the register width that does most, e.g. `512 bit`. */
  readonly width: string;

  /** A reading takes about `milliseconds`. Leaves `bench` at one thread. */
  constructor(bench: KernelBench, milliseconds: number) {
    this.#bench = bench;
    bench.setThreads(1);
    const widths = bench.peakWidths();
    const trial = 200_000;
    const trials = widths.map((_, width) => {
      const begun = performance.now();
      const rate = bench.peak(width, trial);
      return { rate, milliseconds: performance.now() - begun };
    });
    this.#width = trials.reduce((best, { rate }, width) => (rate > (trials[best]?.rate ?? 0) ? width : best), 0);
    this.#steps = Math.ceil((trial * milliseconds) / (trials[this.#width]?.milliseconds ?? milliseconds));
    this.width = widths[this.#width] as string;
  }

  /** Floating-point operations a second of as many threads as `bench` is set to. */
  read(): number {
    return this.#bench.peak(this.#width, this.#steps);
  }
}
