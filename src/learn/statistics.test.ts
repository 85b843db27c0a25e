import { expect, test } from 'vitest';
import { passAtK, passRate, passRateDifference, type TaskPasses } from './statistics.ts';

const row = (cluster: string, passes: number, rollouts = 4): TaskPasses => ({ cluster, passes, rollouts });

test('pass@k is the share of k-subsets that hold a pass', () => {
  expect(passAtK([row('a', 1, 4)], 1)).toBeCloseTo(1 / 4, 12);
  expect(passAtK([row('a', 1, 4)], 2)).toBeCloseTo(1 / 2, 12);
  expect(passAtK([row('a', 2, 4)], 2)).toBeCloseTo(1 - 1 / 6, 12);
  expect(passAtK([row('a', 0, 8)], 8)).toBe(0);
  expect(passAtK([row('a', 1, 8), row('b', 0, 8)], 8)).toBe(0.5);
  expect(passAtK([row('a', 8, 8)], 3)).toBe(1);
});

test('pass@k is unknown when no task has k rollouts', () => {
  expect(passAtK([row('a', 1, 4)], 8)).toBeNull();
});

test('a pass rate counts rollouts and lies inside its interval', () => {
  const rows = Array.from({ length: 20 }, (_, i) => row(`f${i}`, i % 3, 2));
  const estimate = passRate(rows);
  expect(estimate.value).toBeCloseTo(19 / 40, 12);
  expect(estimate.low).toBeLessThan(estimate.value);
  expect(estimate.high).toBeGreaterThan(estimate.value);
  expect(passRate(rows)).toEqual(estimate);
});

test('the interval has about the binomial width for independent tasks', () => {
  const rows = Array.from({ length: 400 }, (_, i) => row(`f${i}`, i % 2, 1));
  const { low, high } = passRate(rows);
  const binomial = 2 * 1.96 * Math.sqrt(0.25 / 400);
  expect(high - low).toBeGreaterThan(0.85 * binomial);
  expect(high - low).toBeLessThan(1.15 * binomial);
});

test('tasks that succeed and fail together widen the interval', () => {
  const together = Array.from({ length: 400 }, (_, i) => row(`f${i % 10}`, i % 10 < 5 ? 1 : 0, 1));
  const apart = together.map(({ passes }, i) => row(`f${i}`, passes, 1));
  const width = (rows: readonly TaskPasses[]) => passRate(rows).high - passRate(rows).low;
  expect(width(together)).toBeGreaterThan(4 * width(apart));
});

test('tasks of one fragment only are resampled one by one', () => {
  const rows = Array.from({ length: 50 }, (_, i) => row('only', i % 2, 1));
  expect(passRate(rows).high).toBeGreaterThan(passRate(rows).low);
});

test('a paired difference of the same rows is 0 and surely so', () => {
  const rows = Array.from({ length: 30 }, (_, i) => row(`f${i % 7}`, i % 4));
  expect(passRateDifference(rows, rows)).toEqual({ value: 0, low: 0, high: 0 });
});

test('a paired difference that is the same in every fragment is sure, though rates vary between fragments', () => {
  const before = Array.from({ length: 30 }, (_, i) => row(`f${i % 6}`, i % 6 < 3 ? 0 : 2));
  const after = before.map(({ cluster, passes }) => row(cluster, passes + 1));
  const difference = passRateDifference(before, after);
  expect(difference.value).toBeCloseTo(0.25, 12);
  expect(difference.low).toBeCloseTo(0.25, 12);
  expect(difference.high).toBeCloseTo(0.25, 12);
});

test('evaluations of other tasks do not pair', () => {
  expect(() => passRateDifference([row('a', 1)], [row('b', 1)])).toThrow(/do not pair/);
  expect(() => passRateDifference([row('a', 1)], [])).toThrow(/1 and 0 tasks/);
});

test('rollouts that infrastructure failed count neither way', () => {
  expect(passRate([row('a', 2, 2), row('b', 0, 0)]).value).toBe(1);
  expect(passRate([])).toEqual({ value: 0, low: 0, high: 1 });
  expect(passRateDifference([row('a', 1, 2), row('b', 0, 2)], [row('a', 2, 2), row('b', 0, 0)]).value).toBe(0.5);
});
