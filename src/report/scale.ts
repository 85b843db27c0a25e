/** Linear scales and round tick values. Pure. */

export interface Scale {
  readonly low: number;
  readonly high: number;
  /** Where `value` falls between the two ends, in pixels. */
  place(value: number): number;
}

/** Maps [low, high] to [from, to]; an empty range maps to the middle. */
export function linearScale(low: number, high: number, from: number, to: number): Scale {
  const size = high - low;
  return {
    low,
    high,
    place: (value) => (size === 0 ? (from + to) / 2 : from + ((value - low) / size) * (to - from)),
  };
}

/** The step of 1, 2 or 5 times a power of ten that cuts [low, high] into about `wanted` parts. */
export function tickStep(low: number, high: number, wanted: number): number {
  const rough = (high - low) / Math.max(1, wanted);
  if (!(rough > 0) || !Number.isFinite(rough)) return 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const lead = rough / power;
  return power * (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10);
}

/** Round values within [low, high], ends included when they are round. */
export function ticks(low: number, high: number, wanted: number): number[] {
  const step = tickStep(low, high, wanted);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  // Multiplied, not added up, and rounded to the step's digits, so that 0.3 is not 0.30000000000000004.
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** [low, high] widened to round values, so that curves do not touch the frame. */
export function roundRange(low: number, high: number, wanted: number): readonly [number, number] {
  if (low === high) return low === 0 ? [0, 1] : [Math.min(0, 2 * low), Math.max(0, 2 * low)];
  const step = tickStep(low, high, wanted);
  return [Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step];
}

/**
 * Moves label positions apart until neighbors are at least `gap` away, within [low, high], keeping their order.
 * Returns positions aligned with the input.
 */
export function spread(wanted: readonly number[], gap: number, low: number, high: number): number[] {
  const order = wanted.map((_, index) => index).sort((a, b) => (wanted[a] ?? 0) - (wanted[b] ?? 0));
  const placed = [...wanted];
  let floor = low;
  for (const index of order) {
    placed[index] = Math.max(placed[index] ?? 0, floor);
    floor = (placed[index] ?? 0) + gap;
  }
  let ceiling = high;
  for (const index of order.reverse()) {
    placed[index] = Math.min(placed[index] ?? 0, ceiling);
    ceiling = (placed[index] ?? 0) - gap;
  }
  return placed;
}
