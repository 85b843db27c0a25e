/** A collection of tasks: a pure function from an index to a task, so that a run needs to keep only indices. */
import type { Task } from '../core/task.ts';
import type { Verdict } from '../core/verdict.ts';

export interface Taskset {
  /** e.g. `seedlings/train`, `seedlings/unseen`, `seedlings/transfer`. */
  readonly name: string;
  /** Number of tasks, or null when the generator has no end. */
  readonly size: number | null;
  /** The same task for the same index, always. */
  task(index: number): Task;
}

/** Judges what left the agent's sandbox. Pure facts; the reward is another's. */
export interface Verifier {
  /** `diff` is `Sandbox.diff()` of the agent's sandbox. Rejects only for infrastructure failures. */
  verify(task: Task, diff: Readonly<Record<string, string | null>>): Promise<Verdict>;
}
