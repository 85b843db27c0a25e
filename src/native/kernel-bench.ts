/**
 * The boundary to native/bench: kernels one by one, and the processor's peak, for `espalier bench`.
 *
 * Not part of the engine: nothing outside src/bench imports it. It has kernels and a thread pool of its own, so what is
 * set here does not reach the engine of the same process. Calls block the thread that makes them.
 */
import { loadAddon } from './native.ts';

declare const prepared: unique symbol;
/** A kernel with its operands, for as many threads as were set when it was prepared. */
export interface KernelCase {
  readonly [prepared]: true;
}

/** Same names, same order as native/bench/addon.cc. */
export interface KernelBench {
  /** Those that the kernels have on this processor, best first. */
  instructionSets(): string[];
  /** Throws a RangeError for one that is not of `instructionSets`. */
  useInstructionSet(name: string): void;
  setThreads(count: number): void;
  /** Register widths that the processor has, widest first. */
  peakWidths(): string[];
  /** Floating-point operations a second of all threads together, a fused multiply-add being two. */
  peak(width: number, steps: number): number;
  /** `sizes` as the kernel's comment in native/bench/cases.cc has them. */
  prepare(kernel: string, sizes: Int32Array): KernelCase;
  /** Seconds that `count` calls in each thread took. */
  run(prepared: KernelCase, count: number): number;
}

export function loadKernelBench(): KernelBench {
  try {
    return loadAddon('kernel-bench') as KernelBench;
  } catch (cause) {
    throw new Error('the native benchmarks are not built: run `npm run build:native` (needs a C++20 compiler)', {
      cause,
    });
  }
}
