/** What an evaluation's groups say: passes a task, and how the agent worked. Pure. */
import { isGraded } from '../core/outcome.ts';
import { passReward } from '../core/verdict.ts';
import type { FinishedGroup } from './group.ts';
import type { FinishedRollout } from './rollout.ts';

/** One task. Rollouts that infrastructure failed are in no count. */
export interface TaskResult {
  /** The task's fragment: intervals are clustered by it. */
  readonly cluster: string;
  readonly passes: number;
  readonly rollouts: number;
}

export interface WorkFigures {
  /** Graded rollouts. */
  readonly rollouts: number;
  readonly passRate: number;
  /** Mean reward, price applied. */
  readonly reward: number;
  /** Mean model calls a rollout. */
  readonly turnsMean: number;
  /** Share of turns with two or more tool calls. */
  readonly parallelShare: number;
  readonly turns: number;
  readonly exactTurns: number;
  readonly retokenizedSampledTokens: number;
  readonly truncated: number;
}

export function taskResults(groups: readonly FinishedGroup[]): TaskResult[] {
  return groups.map(({ task, rollouts }) => {
    const graded = rollouts.filter(({ outcome }) => isGraded(outcome));
    return { cluster: task.origin.fragment, passes: graded.filter(passed).length, rollouts: graded.length };
  });
}

/** Over graded rollouts; every mean is 0 when there are none. */
export function workFigures(groups: readonly FinishedGroup[]): WorkFigures {
  const graded = groups.flatMap((group) => group.rollouts).filter(({ outcome }) => isGraded(outcome));
  const sum = (of: (rollout: FinishedRollout) => number) => graded.reduce((total, rollout) => total + of(rollout), 0);
  const turns = sum(({ facts }) => facts?.turns ?? 0);
  const share = (part: number, whole: number) => (whole > 0 ? part / whole : 0);
  return {
    rollouts: graded.length,
    passRate: share(graded.filter(passed).length, graded.length),
    reward: share(
      sum(({ reward }) => reward ?? 0),
      graded.length,
    ),
    turnsMean: share(turns, graded.length),
    parallelShare: share(
      sum(({ facts }) => facts?.parallelTurns ?? 0),
      turns,
    ),
    turns,
    exactTurns: sum(({ facts }) => facts?.exactTurns ?? 0),
    retokenizedSampledTokens: sum(({ facts }) => facts?.retokenizedSampledTokens ?? 0),
    truncated: graded.filter(({ outcome }) => outcome.status === 'truncated').length,
  };
}

export function passed(rollout: FinishedRollout): boolean {
  return rollout.verdict !== null && passReward(rollout.verdict) === 1;
}
