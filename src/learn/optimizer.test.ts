import { expect, test } from 'vitest';
import { clippedObjective, crossEntropyObjective } from './objectives.ts';
import {
  optimizerStep,
  reinforcementOptimizer,
  type Schedule,
  scheduleFactor,
  supervisedOptimizer,
} from './optimizer.ts';

test('a constant schedule is 1 after its warm-up', () => {
  const schedule: Schedule = { kind: 'constant', warmupSteps: 4 };
  expect([0, 1, 2, 3, 4, 99].map((step) => scheduleFactor(schedule, step, 100))).toEqual([0.25, 0.5, 0.75, 1, 1, 1]);
});

test('warm-up, stable, decay rises, stays, and falls towards 0 over its last share', () => {
  const schedule: Schedule = { kind: 'warm-up-stable-decay', warmupSteps: 2, decayShare: 0.3 };
  const factors = Array.from({ length: 10 }, (_, step) => scheduleFactor(schedule, step, 10));
  const expected = [0.5, 1, 1, 1, 1, 1, 1, 1, 2 / 3, 1 / 3];
  for (const [step, factor] of factors.entries()) expect(factor).toBeCloseTo(expected[step] ?? -1, 12);
});

test('linear and cosine fall from the end of the warm-up to their floor', () => {
  const factors = (kind: 'linear' | 'cosine', floor: number) =>
    Array.from({ length: 10 }, (_, step) => scheduleFactor({ kind, warmupSteps: 2, floor }, step, 10));
  const linear = [0.5, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8];
  for (const [step, factor] of factors('linear', 0).entries()) expect(factor).toBeCloseTo(linear[step] ?? -1, 12);
  const cosine = factors('cosine', 0.1);
  expect(cosine[2]).toBe(1);
  expect(cosine[6]).toBeCloseTo(0.55, 12);
  expect(cosine[9]).toBeCloseTo(0.1 + (0.9 * (1 + Math.cos((7 * Math.PI) / 8))) / 2, 12);
  expect(cosine.slice(2)).toEqual(cosine.slice(2).toSorted((a, b) => b - a));
  // Past the planned end the rate stays at the floor.
  expect(scheduleFactor({ kind: 'cosine', warmupSteps: 2, floor: 0.1 }, 12, 10)).toBeCloseTo(0.1, 12);
  expect(scheduleFactor({ kind: 'linear', warmupSteps: 0, floor: 0 }, 0, 1)).toBe(1);
});

test('a step carries the scheduled rates and no schedule', () => {
  const step = optimizerStep(supervisedOptimizer, 0, 100);
  expect(step.learningRate).toBeCloseTo(3e-3 / 50, 12);
  expect(step.muonLearningRate).toBeCloseTo(0.02 / 50, 12);
  expect('schedule' in step).toBe(false);
  expect(optimizerStep(reinforcementOptimizer, 12, 80).learningRate).toBe(3e-4);
});

test('objectives are token means with the asymmetric clip as default', () => {
  expect(clippedObjective(40)).toEqual({ kind: 'clipped', clipLow: 0.2, clipHigh: 0.28, normalizer: 40 });
  expect(crossEntropyObjective(12.5)).toEqual({ kind: 'cross-entropy', normalizer: 12.5 });
  expect(() => clippedObjective(40, { clipLow: 1.2, clipHigh: 0.28 })).toThrow(/clip range 1.2/);
});
