/**
 * Grades a diff with the task's tests, visible and hidden, in a fresh sandbox.
 *
 * Covered: changes outside the allowed paths, test files and package.json among them, never reach the graded tree; tests
 * that are added, dropped, renamed or reported twice; code that bends the runner or the assertions (canaries); suites
 * that end early or not at all.
 * Not covered: wrong code that the tests do not tell from right code.
 *
 * Invariants
 * 1. What is graded = pristine files, then allowed changes, then hidden files, then canaries in every graded test file.
 * 2. Fails closed: whatever is not the expected set of ids, each reported once and passed, is not solved.
 * 3. Rejects only when the sandbox failed; what the graded code did is a verdict.
 */
import { seedOf } from '../../core/random.ts';
import type { FileTree, Task } from '../../core/task.ts';
import type { Verdict } from '../../core/verdict.ts';
import type { SandboxLimits, SandboxProvider, SuiteRun } from '../../sandbox/sandbox.ts';
import type { Verifier } from '../taskset.ts';
import { type Canaries, canariesFor, canaryIds, held, plant } from './canaries.ts';

export interface TestVerifierOptions {
  readonly sandboxes: SandboxProvider;
  readonly limits: SandboxLimits;
  /** The canaries' names are drawn from it, the task and the diff. */
  readonly seed: bigint;
}

type Diff = Readonly<Record<string, string | null>>;

export function testVerifier(options: TestVerifierOptions): Verifier {
  return {
    async verify(task, diff) {
      const tests = gradedTests(task);
      const { changes, droppedPaths } = allowedChanges(task, diff, tests);
      const seed = seedOf(options.seed.toString(), task.id, JSON.stringify(changes));
      const tree = gradedTree(task, changes);
      const canaries = tests.map((path) => canariesFor(path, seed));
      const sandbox = await options.sandboxes.start(planted(tree, canaries), options.limits);
      try {
        const run = await sandbox.runTests(tests);
        return judge(task, run, canaries, Object.keys(changes), droppedPaths);
      } finally {
        await sandbox.close();
      }
    },
  };
}

/** Paths of the test files that decide, visible and hidden. */
export function gradedTests(task: Pick<Task, 'expectedTests' | 'hidden'>): readonly string[] {
  const expected = task.expectedTests.map((id) => id.split(' > ')[0] ?? id);
  const hidden = Object.keys(task.hidden).filter((path) => /\.test\.[cm]?js$/.test(path));
  return [...new Set([...expected, ...hidden])].sort();
}

/** Splits a diff into what is graded and what is dropped. Test files and manifests are dropped even when listed. */
export function allowedChanges(
  task: Pick<Task, 'allowedPaths' | 'hidden'>,
  diff: Diff,
  tests: readonly string[],
): { readonly changes: Diff; readonly droppedPaths: readonly string[] } {
  const protectedPaths = new Set([...tests, ...Object.keys(task.hidden), 'package.json', 'package-lock.json']);
  const allowed = new Set(task.allowedPaths.filter((path) => !protectedPaths.has(path)));
  const paths = Object.keys(diff).sort();
  const graded = paths.filter((path) => allowed.has(path));
  return {
    changes: Object.fromEntries(graded.map((path) => [path, diff[path] ?? null])),
    droppedPaths: paths.filter((path) => !allowed.has(path)),
  };
}

function gradedTree(task: Task, changes: Diff): FileTree {
  const kept = Object.entries({ ...task.files, ...changes }).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  );
  return { ...Object.fromEntries(kept), ...task.hidden };
}

function planted(tree: FileTree, canaries: readonly Canaries[]): FileTree {
  const files: Record<string, string> = { ...tree };
  for (const canary of canaries) {
    const text = files[canary.path];
    if (text !== undefined) files[canary.path] = plant(text, canary);
  }
  return files;
}

function judge(
  task: Task,
  run: SuiteRun,
  canaries: readonly Canaries[],
  changedPaths: readonly string[],
  droppedPaths: readonly string[],
): Verdict {
  const planted = new Set(canaries.flatMap(canaryIds));
  const tests = run.tests.filter((test) => !planted.has(test.id)).map(({ id, status }) => ({ id, status }));
  const expected = new Set(task.expectedTests);
  const reported = new Set<string>();
  const unexpected: string[] = [];
  for (const { id } of tests) {
    if (!expected.has(id) || reported.has(id)) unexpected.push(id);
    reported.add(id);
  }
  return {
    tests,
    missing: task.expectedTests.filter((id) => !reported.has(id)),
    unexpected,
    canariesHeld: held(canaries, run),
    completed: run.completed,
    changedPaths,
    droppedPaths,
  };
}
