/** Samples to figures. */
import type { Figure } from './measure.ts';

export function figureOf(name: string, samples: readonly number[], target?: string): Figure {
  return {
    name,
    median: quantile(samples, 0.5),
    least: Math.min(...samples),
    most: Math.max(...samples),
    ...(target !== undefined && { target }),
  };
}

/** Nearest rank. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
