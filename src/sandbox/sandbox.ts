/**
 * A place in which code that nobody trusts runs.
 *
 * Covered by every implementation: no network, no host file system, memory and time bounded, results held by the host.
 * What an implementation does not cover stands at the top of its file.
 */
import type { FileTree } from '../core/task.ts';
import type { TestResult } from '../core/verdict.ts';

/** Bounds of one run of a suite. */
export interface SandboxLimits {
  readonly timeMs: number;
  readonly memoryBytes: number;
}

/** A suite that ran: `completed` false means that it hit a limit or could not load, `message` says which. */
export interface SuiteRun {
  readonly completed: boolean;
  readonly tests: readonly (TestResult & { readonly message: string })[];
  /** Why it did not complete, or null. One line, no durations or paths of the host. */
  readonly message: string | null;
}

/** One open sandbox: a copy of a tree. Reads and writes are those of a file system that nobody else sees. */
export interface Sandbox {
  list(): readonly string[];
  /** null when there is no such file. */
  read(path: string): string | null;
  /** Throws EspalierError('sandbox') for a path outside the tree or a tree over its size bound. */
  write(path: string, text: string): void;
  /** Paths whose text differs from the tree at start; null text is a removed file. */
  diff(): Readonly<Record<string, string | null>>;
  /** Runs the test files against the tree as it is at the call; later writes do not reach a run that has begun. */
  runTests(paths: readonly string[], signal?: AbortSignal): Promise<SuiteRun>;
  close(): Promise<void>;
}

export interface SandboxProvider {
  start(files: FileTree, limits: SandboxLimits): Promise<Sandbox>;
  close(): Promise<void>;
}
