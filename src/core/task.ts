import type { TaskId } from './ids.ts';

/** Path, relative and with forward slashes, to text. */
export type FileTree = Readonly<Record<string, string>>;

/**
 * A problem to solve and what is needed to judge a solution.
 *
 * `hidden`, `solution` and `origin` never enter a sandbox in which an agent works.
 */
export interface Task {
  readonly id: TaskId;
  /** What the agent is told, as the user's message. */
  readonly statement: string;
  /** The repository that the agent finds. */
  readonly files: FileTree;
  /** Paths whose changes leave the agent's sandbox; a change elsewhere is dropped before grading. */
  readonly allowedPaths: readonly string[];
  /** Test files that are added to (or replace those of) the pristine tree when the result is graded. */
  readonly hidden: FileTree;
  /** Ids of the tests that the graded tree must pass, visible and hidden: `path > title`. */
  readonly expectedTests: readonly string[];
  /** A tree change that solves the task: the oracle's. */
  readonly solution: FileTree;
  /** What the generator did, for clustering and for held-out sets. */
  readonly origin: TaskOrigin;
}

export interface TaskOrigin {
  /** Where the bug sits, e.g. `clamp`. Intervals are clustered by it. */
  readonly fragment: string;
  /** What made the bug, e.g. `comparison-edge`. */
  readonly operator: string;
  /** Files that a solution must change. */
  readonly fileCount: number;
}
