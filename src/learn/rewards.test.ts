import { expect, test } from 'vitest';
import { pricedReward, shuffledRewards } from './rewards.ts';

test('a price per turn multiplies the pass and never makes it negative', () => {
  expect(pricedReward(1, 4, 0)).toBe(1);
  expect(pricedReward(1, 4, 0.1)).toBeCloseTo(0.6, 12);
  expect(pricedReward(1, 20, 0.1)).toBe(0);
});

test('a failure earns nothing, however short', () => {
  expect(pricedReward(0, 1, 0.1)).toBe(0);
});

test('shuffled rewards are the batch of rewards in another order, the same for a seed and step', () => {
  const rewards = Array.from({ length: 12 }, (_, group) => Array.from({ length: 8 }, (_, i) => group * 8 + i));
  const shuffled = shuffledRewards(rewards, 7, 3);
  expect(shuffled.map((group) => group.length)).toEqual(rewards.map((group) => group.length));
  expect(shuffled.flat().toSorted((a, b) => a - b)).toEqual(rewards.flat());
  expect(shuffled).not.toEqual(rewards);
  expect(shuffled[0]?.some((reward) => reward > 7)).toBe(true);
  expect(shuffledRewards(rewards, 7, 3)).toEqual(shuffled);
  expect(shuffledRewards(rewards, 7, 4)).not.toEqual(shuffled);
});
