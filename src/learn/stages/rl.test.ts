import { describe, expect, test } from 'vitest';
import type { SampledTurn } from '../trajectories.ts';
import { type BatchGroup, type BatchRollout, defaultRl, logprobGap, planSteps } from './rl.ts';

const place = { seed: 1, firstStep: 10, steps: 80 };

function rollout(reward: number, completion: readonly number[], version = 5): BatchRollout {
  const turn: SampledTurn = {
    prompt: Int32Array.of(1, 2),
    completion: Int32Array.from(completion),
    behaviorLogprobs: Float32Array.from(completion, () => -0.5),
    entropies: Float32Array.from(completion, () => 0.25),
    versions: Int32Array.from(completion, () => version),
    fidelity: 'exact',
  };
  return { reward, passed: reward > 0, turns: [turn] };
}

/** Group g samples token 10 + g, so that a step's targets tell its groups. */
const group = (g: number): BatchGroup => ({ rollouts: [rollout(1, [10 + g]), rollout(0, [10 + g, 3])] });

describe('the steps of a batch', () => {
  test('deal the groups out in draw order', () => {
    const steps = planSteps([0, 1, 2, 3, 4].map(group), defaultRl, place);
    const groupsOf = (step: (typeof steps)[number]) => [
      ...new Set([...step.batch.termTarget].filter((id) => id >= 10).map((id) => id - 10)),
    ];
    expect(steps.map(groupsOf)).toEqual([
      [0, 1],
      [2, 3, 4],
    ]);
    expect(steps.map(({ groups }) => groups)).toEqual([2, 3]);
    expect(steps.map(({ request }) => request.objective.normalizer)).toEqual([6, 9]);
  });

  test('leave out groups without signal, and steps without groups', () => {
    const equal: BatchGroup = { rollouts: [rollout(1, [3]), rollout(1, [4])] };
    const steps = planSteps([equal, group(0), equal], defaultRl, place);
    expect(steps.map(({ indexInBatch, groups }) => [indexInBatch, groups])).toEqual([[0, 1]]);
    expect(planSteps([equal], defaultRl, place)).toEqual([]);
  });

  test('train on what they hold, under the scheduled optimizer', () => {
    const optimizer = { ...defaultRl.optimizer, schedule: { kind: 'constant', warmupSteps: 22 } } as const;
    const [first, second] = planSteps([group(0), group(1)], { ...defaultRl, optimizer }, place);
    expect(first?.request.batch).toBe(first?.batch);
    expect(first?.request.optimizer.learningRate).toBeCloseTo((3e-4 * 11) / 22, 12);
    expect(second?.request.optimizer.learningRate).toBeCloseTo((3e-4 * 12) / 22, 12);
  });

  test('are the same when planned again, shuffled or not', () => {
    const groups = [0, 1, 2, 3].map(group);
    for (const control of ['none', 'shuffled'] as const) {
      expect(planSteps(groups, { ...defaultRl, control }, place)).toEqual(
        planSteps(groups, { ...defaultRl, control }, place),
      );
    }
  });

  test('permute rewards over the batch in the control', () => {
    const groups = Array.from({ length: 12 }, (_, g) => group(g));
    const learned = (firstStep: number) =>
      planSteps(groups, { ...defaultRl, control: 'shuffled', stepsPerBatch: 1 }, { ...place, firstStep });
    const kept = learned(0)[0]?.groups ?? 0;
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThan(12);
    expect(learned(0)[0]?.batch.termAPos).not.toEqual(learned(2)[0]?.batch.termAPos);
  });
});

describe('the gap between recorded and recomputed log-probabilities', () => {
  const [first, second] = planSteps([group(0), group(1)], defaultRl, place);
  if (first === undefined || second === undefined) throw new Error('two steps were planned');
  const recomputed = (gap: number) => ({
    termLogprobs: first.batch.termBehaviorLogprob.map((value, term) => value + (term === 1 ? gap : 0)),
  });

  test('is the largest over the sampled tokens of the updated version', () => {
    expect(logprobGap(first, recomputed(0), 5)).toEqual({ maxLogprobGap: 0, gapTokens: 3 });
    expect(logprobGap(first, recomputed(0.125), 5)).toEqual({ maxLogprobGap: 0.125, gapTokens: 3 });
    expect(logprobGap(first, recomputed(Number.NaN), 5).maxLogprobGap).toBe(Number.POSITIVE_INFINITY);
  });

  test('is null, not 0, when no token was sampled under that version', () => {
    expect(logprobGap(first, recomputed(0), 6)).toEqual({ maxLogprobGap: null, gapTokens: 0 });
  });

  test("is null in a batch's later steps", () => {
    expect(logprobGap(second, recomputed(0), 5)).toEqual({ maxLogprobGap: null, gapTokens: 0 });
  });
});
