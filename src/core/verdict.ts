/** One test as it ran in the grading sandbox. `id` is `path > title`. */
export interface TestResult {
  readonly id: string;
  readonly status: 'passed' | 'failed';
}

/** The facts of one grading. A reward is computed from it by a pure function elsewhere; a verdict holds none. */
export interface Verdict {
  readonly tests: readonly TestResult[];
  /** Expected ids that did not report, which counts as failed. */
  readonly missing: readonly string[];
  /** Ids that reported and were not expected: the result is not trusted. */
  readonly unexpected: readonly string[];
  /** Planted tests that must fail did fail, and the one that must pass did. */
  readonly canariesHeld: boolean;
  /** The run of the suite ended by itself within its limits. */
  readonly completed: boolean;
  /** Changed paths that were graded, and those that were dropped since they are not allowed. */
  readonly changedPaths: readonly string[];
  readonly droppedPaths: readonly string[];
}

/** True when every expected test passed, nothing else reported, and the canaries held. */
export function solved(verdict: Verdict): boolean {
  return (
    verdict.completed &&
    verdict.canariesHeld &&
    verdict.missing.length === 0 &&
    verdict.unexpected.length === 0 &&
    verdict.tests.length > 0 &&
    verdict.tests.every((test) => test.status === 'passed')
  );
}

/** 1 when the task is solved, else 0. */
export function passReward(verdict: Verdict): number {
  return solved(verdict) ? 1 : 0;
}
