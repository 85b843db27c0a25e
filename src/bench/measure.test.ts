import { describe, expect, it } from 'vitest';
import { alternate, ratioOf, spreadOf } from './measure.ts';

describe('spreadOf', () => {
  it('takes the mean of the middle two of an even number', () => {
    expect(spreadOf([4, 1, 3, 2])).toEqual({ min: 1, median: 2.5, max: 4, runs: 4 });
    expect(spreadOf([9])).toEqual({ min: 9, median: 9, max: 9, runs: 1 });
  });

  it('refuses to make a figure of nothing', () => {
    expect(() => spreadOf([])).toThrow('no run');
  });
});

describe('alternate', () => {
  it('begins each round with another case and keeps rounds together', async () => {
    const order: string[] = [];
    const step = (name: string) => () => order.push(name);
    const values = await alternate({ a: step('a'), b: step('b') }, { rounds: 3, seconds: 60 });
    expect(order).toEqual(['a', 'b', 'b', 'a', 'a', 'b']);
    expect(values).toEqual({ a: [1, 4, 5], b: [2, 3, 6] });
    expect(ratioOf(values.a, values.b)).toEqual({ min: 0.5, median: 5 / 6, max: 4 / 3, runs: 3 });
  });

  it('always runs one round, and begins none when the time is over', async () => {
    const values = await alternate({ a: () => 1 }, { rounds: 5, seconds: 0 });
    expect(values).toEqual({ a: [1] });
  });
});
