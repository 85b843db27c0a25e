import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linearScale, roundRange, spread, ticks } from './scale.ts';

const finite = fc.integer({ min: -1e9, max: 1e9 }).map((value) => value / 1000);

describe('ticks', () => {
  it('are round and hold no rounding dust', () => {
    expect(ticks(0, 1, 4)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(ticks(0, 40, 8)).toEqual([0, 5, 10, 15, 20, 25, 30, 35, 40]);
  });

  it('lie within their range, for any range', () => {
    fc.assert(
      fc.property(finite, finite, (a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        const slack = 1e-6 * Math.max(1e-300, high - low) + 1e-9 * Math.max(Math.abs(low), Math.abs(high));
        const found = ticks(low, high, 5);
        expect(found.every((tick) => tick >= low - slack && tick <= high + slack)).toBe(true);
        expect(found.length).toBeLessThan(20);
      }),
    );
  });
});

describe('roundRange', () => {
  it('holds its values, and is never empty', () => {
    fc.assert(
      fc.property(finite, finite, (a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        const [from, to] = roundRange(low, high, 4);
        const slack = 1e-6 * (to - from);
        expect(from).toBeLessThanOrEqual(low + slack);
        expect(to).toBeGreaterThanOrEqual(high - slack);
        expect(to).toBeGreaterThan(from);
      }),
    );
  });
});

describe('linearScale', () => {
  it('maps its ends to its ends, and an empty range to the middle', () => {
    const scale = linearScale(0, 10, 100, 0);
    expect([scale.place(0), scale.place(5), scale.place(10)]).toEqual([100, 50, 0]);
    expect(linearScale(3, 3, 0, 8).place(3)).toBe(4);
  });
});

describe('spread', () => {
  it('keeps labels apart, in order and in bounds when there is room', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { maxLength: 6 }), (wanted) => {
        const placed = spread(wanted, 15, 0, 100);
        const pairs = wanted.map((at, index) => [at, placed[index] ?? Number.NaN] as const).sort((a, b) => a[0] - b[0]);
        const sorted = placed.toSorted((a, b) => a - b);
        expect(sorted.every((at, i) => i === 0 || at - (sorted[i - 1] ?? 0) >= 15 - 1e-9)).toBe(true);
        expect(placed.every((at) => at >= -1e-9 && at <= 100 + 1e-9)).toBe(true);
        expect(pairs.map(([, at]) => at)).toEqual(pairs.map(([, at]) => at).toSorted((a, b) => a - b));
      }),
    );
  });
});
