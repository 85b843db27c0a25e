/**
 * Advantages: what a rollout's reward says about its tokens, against the other attempts at the same task.
 *
 * Not here: which reward a verdict earns (`rewards.ts`), and where an advantage lands (`loss-terms.ts`).
 *
 * Invariants:
 * 1. A group whose rewards are all equal carries no signal: its advantages are null, which differs from zero.
 * 2. Factors are constants to the gradient, each with its own switch, and all are off by default.
 * 3. A group's advantages depend on other groups only through the difficulty factor's mean.
 */

export interface AdvantageOptions {
  /** `std` divides by the group's population standard deviation + epsilon; `none` only subtracts the mean. */
  readonly normalize: 'std' | 'none';
  readonly epsilon: number;
  /** Multiplies negative advantages, last. */
  readonly negativeScale: number;
  readonly entropy: EntropyFactor;
  readonly difficulty: DifficultyFactor;
}

/**
 * `scaled`: f_i = clip(H_i / mean_j H_j, 1 - clip, 1 + clip) with H_i the rollout's mean entropy over sampled tokens.
 * `sign-aware`: the same for positive advantages, the inverse ratio for negative ones, so that a failure is not
 * punished harder for having explored.
 */
export type EntropyFactor =
  | { readonly kind: 'off' }
  | { readonly kind: 'scaled'; readonly clip: number }
  | { readonly kind: 'sign-aware'; readonly clip: number };

/** `scaled`: w_g = clip(4 p_g (1 - p_g) / mean over the groups with signal, 1 - clip, 1 + clip), p_g the pass rate. */
export type DifficultyFactor = { readonly kind: 'off' } | { readonly kind: 'scaled'; readonly clip: number };

export const defaultAdvantages: AdvantageOptions = {
  normalize: 'std',
  epsilon: 1e-6,
  negativeScale: 0.25,
  entropy: { kind: 'off' },
  difficulty: { kind: 'off' },
};

/** The arrays are aligned: element i belongs to rollout i of the group. */
export interface GroupScores {
  readonly rewards: readonly number[];
  /** Whether each rollout solved its task, whatever it cost: the difficulty factor's pass rate. */
  readonly passes: readonly boolean[];
  /** Mean entropy in nats over the rollout's sampled tokens: the entropy factor's H. */
  readonly entropies: readonly number[];
}

/** True when some reward differs from another. */
export function hasSignal(rewards: readonly number[]): boolean {
  return rewards.some((reward) => reward !== rewards[0]);
}

/** One array a group, aligned with its rewards, or null for a group without signal. */
export function advantagesOf(
  groups: readonly GroupScores[],
  options: AdvantageOptions = defaultAdvantages,
): (readonly number[] | null)[] {
  const weights = difficultyWeights(groups, options.difficulty);
  return groups.map((group, index) => {
    if (!hasSignal(group.rewards)) return null;
    return normalized(group.rewards, options).map((advantage, rollout) => {
      const factor = entropyFactor(group.entropies, rollout, advantage, options.entropy);
      const scaled = (weights[index] ?? 1) * factor * advantage;
      return scaled < 0 ? scaled * options.negativeScale : scaled;
    });
  });
}

function normalized(rewards: readonly number[], options: AdvantageOptions): number[] {
  const center = mean(rewards);
  const centered = rewards.map((reward) => reward - center);
  if (options.normalize === 'none') return centered;
  const deviation = Math.sqrt(mean(centered.map((value) => value * value)));
  return centered.map((value) => value / (deviation + options.epsilon));
}

function entropyFactor(
  entropies: readonly number[],
  rollout: number,
  advantage: number,
  factor: EntropyFactor,
): number {
  if (factor.kind === 'off') return 1;
  const average = mean(entropies);
  const own = entropies[rollout] ?? average;
  const inverse = factor.kind === 'sign-aware' && advantage < 0;
  return clip(inverse ? ratio(average, own) : ratio(own, average), factor.clip);
}

function difficultyWeights(groups: readonly GroupScores[], factor: DifficultyFactor): readonly number[] {
  if (factor.kind === 'off') return groups.map(() => 1);
  const spreads = groups.map(({ passes }) => {
    const rate = passes.filter(Boolean).length / Math.max(1, passes.length);
    return 4 * rate * (1 - rate);
  });
  const average = mean(spreads.filter((_, index) => hasSignal(groups[index]?.rewards ?? [])));
  return spreads.map((spread) => clip(ratio(spread, average), factor.clip));
}

/** A ratio of two entropies or spreads; 0 / 0 is 1, as equals are not scaled. */
function ratio(value: number, average: number): number {
  if (average === 0) return value === 0 ? 1 : Number.POSITIVE_INFINITY;
  return value / average;
}

function clip(value: number, width: number): number {
  return Math.min(1 + width, Math.max(1 - width, value));
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
