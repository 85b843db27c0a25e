/**
 * What a graded rollout earns. Pure: a verdict holds facts, a reward is an opinion about them.
 *
 * Invariants:
 * 1. A rollout that did not pass earns 0, whatever it spent: it never earns by quitting early.
 * 2. A reward is from 0 to 1.
 */
import { Random, seedOf } from '../core/random.ts';

/** `pass` is 0 to 1 (`passReward`), `turns` the rollout's model calls; `turnPrice` 0 leaves the pass as it is. */
export function pricedReward(pass: number, turns: number, turnPrice: number): number {
  return pass * Math.max(0, 1 - turnPrice * turns);
}

/**
 * The control: the same rewards, permuted over all rollouts of the batch, so that nothing can be learned from them.
 * Gives as many groups of the same sizes; the permutation is a function of `seed` and `step` alone.
 */
export function shuffledRewards(
  rewards: readonly (readonly number[])[],
  seed: string | number,
  step: number,
): readonly (readonly number[])[] {
  const pool = new Random(seedOf('shuffled rewards', seed, step)).shuffled(rewards.flat());
  let taken = 0;
  return rewards.map((group) => {
    const own = pool.slice(taken, taken + group.length);
    taken += group.length;
    return own;
  });
}
