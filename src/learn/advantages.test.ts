import { describe, expect, test } from 'vitest';
import { type AdvantageOptions, advantagesOf, defaultAdvantages, type GroupScores } from './advantages.ts';

const plain: AdvantageOptions = { ...defaultAdvantages, epsilon: 0, negativeScale: 1 };

function scores(rewards: readonly number[], entropies: readonly number[] = rewards.map(() => 1)): GroupScores {
  return { rewards, passes: rewards.map((reward) => reward > 0), entropies };
}

describe('advantages', () => {
  test('are rewards against the group mean in population standard deviations', () => {
    const [group] = advantagesOf([scores([1, 0, 0, 0])], plain);
    const deviation = Math.sqrt(3) / 4;
    expect(group?.[0]).toBeCloseTo(0.75 / deviation, 12);
    expect(group?.[1]).toBeCloseTo(-0.25 / deviation, 12);
    expect(group?.reduce((sum, value) => sum + value, 0)).toBeCloseTo(0, 12);
  });

  test('only lose the mean without normalization', () => {
    expect(advantagesOf([scores([1, 0])], { ...plain, normalize: 'none' })).toEqual([[0.5, -0.5]]);
  });

  test('are null, not zero, for a group whose rewards are all equal', () => {
    expect(advantagesOf([scores([1, 1, 1]), scores([0, 0]), scores([0.3])], plain)).toEqual([null, null, null]);
  });

  test('scale the negative ones by default', () => {
    const [full] = advantagesOf([scores([1, 0])], plain);
    const [scaled] = advantagesOf([scores([1, 0])], { ...plain, negativeScale: 0.25 });
    expect(scaled?.[0]).toBe(full?.[0]);
    expect(scaled?.[1]).toBe((full?.[1] ?? 0) / 4);
    expect(defaultAdvantages.negativeScale).toBe(0.25);
  });

  test('ignore entropy and difficulty unless asked', () => {
    const even = advantagesOf([scores([1, 0, 0]), scores([1, 0, 0])], plain);
    const uneven = advantagesOf([scores([1, 0, 0], [9, 1, 4]), scores([1, 1, 0])], plain);
    expect(uneven[0]).toEqual(even[0]);
  });

  test('take the entropy factor H_i / mean H, clipped', () => {
    const rewards = [1, 0, 1, 0];
    const [base] = advantagesOf([scores(rewards)], plain);
    const [scaled] = advantagesOf([scores(rewards, [1.1, 0.9, 2, 0])], {
      ...plain,
      entropy: { kind: 'scaled', clip: 0.2 },
    });
    const factors = scaled?.map((value, i) => value / (base?.[i] ?? 0));
    for (const [i, factor] of [1.1, 0.9, 1.2, 0.8].entries()) expect(factors?.[i]).toBeCloseTo(factor, 12);
  });

  test('take the inverse entropy ratio for failures when the factor is sign-aware', () => {
    const rewards = [1, 0];
    const [base] = advantagesOf([scores(rewards)], plain);
    const entropy = { kind: 'sign-aware', clip: 0.5 } as const;
    const [scaled] = advantagesOf([scores(rewards, [0.75, 1.25])], { ...plain, entropy });
    expect((scaled?.[0] ?? 0) / (base?.[0] ?? 1)).toBeCloseTo(0.75, 12);
    expect((scaled?.[1] ?? 0) / (base?.[1] ?? 1)).toBeCloseTo(1 / 1.25, 12);
  });

  test('take the difficulty factor 4 p (1 - p) over its mean in groups with signal, clipped', () => {
    const groups = [scores([1, 0, 1, 0]), scores([1, 0, 0, 0]), scores([1, 1, 1, 1])];
    const base = advantagesOf(groups, plain);
    const wide = advantagesOf(groups, { ...plain, difficulty: { kind: 'scaled', clip: 0.9 } });
    const narrow = advantagesOf(groups, { ...plain, difficulty: { kind: 'scaled', clip: 0.1 } });
    const factor = (of: typeof wide, group: number) => (of[group]?.[0] ?? 0) / (base[group]?.[0] ?? 1);
    expect(factor(wide, 0)).toBeCloseTo(1 / 0.875, 12);
    expect(factor(wide, 1)).toBeCloseTo(0.75 / 0.875, 12);
    expect(factor(narrow, 0)).toBeCloseTo(1.1, 12);
    expect(factor(narrow, 1)).toBeCloseTo(0.9, 12);
    expect(wide[2]).toBeNull();
  });
});
