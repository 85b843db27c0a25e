/**
 * Vitest's own report, and after it one line for scripts that is always the last: `N passed, N failed`, with
 * `, N skipped` when tests were skipped.
 *
 * A file that cannot be loaded and an error outside every test count as one failure each, since nothing else would
 * tell a script that tests did not run.
 */
import { DefaultReporter } from 'vitest/node';

export type TestEnd = Parameters<DefaultReporter['onTestRunEnd']>;

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export function countLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

export function countTests(modules: TestEnd[0], unhandledErrors: TestEnd[1]): Counts {
  const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
  for (const module of modules) {
    const failedBefore = counts.failed;
    for (const test of module.children.allTests()) {
      const state = test.result().state;
      // A test that is still pending when the run ends was interrupted: it did not pass.
      counts[state === 'pending' ? 'failed' : state] += 1;
    }
    for (const suite of module.children.allSuites()) counts.failed += suite.errors().length;
    counts.failed += module.errors().length;
    // A module can fail without an error of its own, e.g. when its worker died.
    if (module.state() === 'failed' && counts.failed === failedBefore) counts.failed += 1;
  }
  return counts;
}

export class CountingReporter extends DefaultReporter {
  override onTestRunEnd(...end: TestEnd): void {
    super.onTestRunEnd(...end);
    process.stdout.write(`${countLine(countTests(end[0], end[1]))}\n`);
  }
}
