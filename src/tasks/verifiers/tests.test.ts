import { afterAll, describe, expect, it } from 'vitest';
import { EspalierError } from '../../core/errors.ts';
import type { Task } from '../../core/task.ts';
import { solved, type Verdict } from '../../core/verdict.ts';
import type { SandboxProvider, SuiteRun } from '../../sandbox/sandbox.ts';
import { wasmLimits, wasmSandboxes } from '../../sandbox/sandboxes/wasm.ts';
import { canariesFor, canaryIds, plant } from './canaries.ts';
import { repository } from './repository.ts';
import { testVerifier } from './tests.ts';

const sandboxes = wasmSandboxes({ threads: 1 });
afterAll(() => sandboxes.close());
const verify = (diff: Readonly<Record<string, string | null>>, task: Task = repository): Promise<Verdict> =>
  testVerifier({ sandboxes, limits: wasmLimits, seed: 7n }).verify(task, diff);

/** A provider whose runs are what a function makes of the ids that would have been reported. */
function scripted(answer: (files: Readonly<Record<string, string>>) => SuiteRun | Error): SandboxProvider {
  return {
    start: async (files) => ({
      list: () => Object.keys(files),
      read: (path) => files[path] ?? null,
      write: () => {},
      diff: () => ({}),
      runTests: async () => {
        const run = answer(files);
        if (run instanceof Error) throw run;
        return run;
      },
      close: async () => {},
    }),
    close: async () => {},
  };
}

describe('grading by tests', () => {
  it('solves with the solution, and reports the facts of it', async () => {
    const verdict = await verify(repository.solution);
    expect(solved(verdict)).toBe(true);
    expect(verdict).toEqual({
      tests: repository.expectedTests.map((id) => ({ id, status: 'passed' })),
      missing: [],
      unexpected: [],
      canariesHeld: true,
      completed: true,
      changedPaths: ['src/clamp.js'],
      droppedPaths: [],
    });
  });

  it('does not solve without a change, and the canaries held', async () => {
    const verdict = await verify({});
    expect(solved(verdict)).toBe(false);
    expect(verdict.canariesHeld).toBe(true);
    expect(verdict.tests.filter((test) => test.status === 'failed').map((test) => test.id)).toEqual([
      'test/clamp.test.js > keeps the lower bound',
      'test/hidden.test.js > keeps another lower bound',
      'test/hidden.test.js > works in a callback',
    ]);
  });

  it('drops changes outside the allowed paths and says so', async () => {
    const verdict = await verify({
      ...repository.solution,
      'test/clamp.test.js': '',
      'package.json': '{}',
      'a.js': '1',
    });
    expect(solved(verdict)).toBe(true);
    expect(verdict.droppedPaths).toEqual(['a.js', 'package.json', 'test/clamp.test.js']);
  });

  it('drops changes of test files even when a task allows them', async () => {
    const task = {
      ...repository,
      allowedPaths: ['src/clamp.js', 'test/clamp.test.js', 'test/hidden.test.js', 'package.json'],
    };
    const verdict = await verify({ 'test/hidden.test.js': '', 'test/clamp.test.js': '', 'package.json': '' }, task);
    expect(verdict.changedPaths).toEqual([]);
    expect(solved(verdict)).toBe(false);
  });

  it('grades a removed file as removed', async () => {
    const verdict = await verify({ 'src/clamp.js': null });
    expect(verdict).toMatchObject({ completed: false, tests: [], missing: repository.expectedTests });
    expect(solved(verdict)).toBe(false);
  });

  it('gives the same verdict each time', async () => {
    expect(await verify({})).toEqual(await verify({}));
  });

  it('reports a missing expected test, and one that nobody expected', async () => {
    const task = { ...repository, expectedTests: [...repository.expectedTests.slice(1), 'test/clamp.test.js > other'] };
    const verdict = await verify(repository.solution, task);
    expect(verdict.missing).toEqual(['test/clamp.test.js > other']);
    expect(verdict.unexpected).toEqual(['test/clamp.test.js > keeps the lower bound']);
    expect(solved(verdict)).toBe(false);
  });
});

describe('a runner that cannot be trusted', () => {
  const graded = (report: (ids: readonly string[]) => SuiteRun['tests']): Promise<Verdict> => {
    const provider = scripted((files) => {
      const planted = [
        ...(Object.values(files)
          .join('\n')
          .matchAll(/_([0-9a-f]{16})\('([0-9a-f]{16})', /g) ?? []),
      ].map((match) => match[2] ?? '');
      return { completed: true, message: null, tests: report(planted) };
    });
    return testVerifier({ sandboxes: provider, limits: wasmLimits, seed: 7n }).verify(repository, repository.solution);
  };
  const expected = repository.expectedTests.map((id) => ({ id, status: 'passed' as const, message: '' }));

  it('is seen when it reports no canary', async () => {
    const verdict = await graded(() => expected);
    expect(verdict).toMatchObject({ canariesHeld: false, missing: [], unexpected: [] });
    expect(solved(verdict)).toBe(false);
  });

  it('is seen when every test passes, canaries too', async () => {
    const paths = ['test/clamp.test.js', 'test/hidden.test.js'];
    const verdict = await graded((titles) => [
      ...expected,
      ...titles.map((title, i) => ({
        id: `${paths[Math.floor(i / 4)]} > ${title}`,
        status: 'passed' as const,
        message: '',
      })),
    ]);
    expect(verdict.unexpected).toEqual([]);
    expect(verdict.canariesHeld).toBe(false);
  });

  it('is seen when a test is reported twice', async () => {
    const verdict = await graded(() => [...expected, ...expected.slice(0, 1)]);
    expect(verdict.unexpected).toEqual(repository.expectedTests.slice(0, 1));
  });

  it('is an error, not a verdict, when the sandbox fails', async () => {
    const provider = scripted(() => new EspalierError('sandbox', 'a sandbox thread ended: exit code 1'));
    const verifier = testVerifier({ sandboxes: provider, limits: wasmLimits, seed: 7n });
    await expect(verifier.verify(repository, {})).rejects.toMatchObject({ boundary: 'sandbox' });
  });
});

describe('canaries', () => {
  it('have other names for another seed or file', () => {
    const ids = [canariesFor('a.test.js', 1n), canariesFor('a.test.js', 2n), canariesFor('b.test.js', 1n)].flatMap(
      canaryIds,
    );
    expect(new Set(ids).size).toBe(12);
  });

  it('are planted in CommonJS files and ES modules without moving a line', () => {
    const canaries = canariesFor('a.test.js', 1n);
    expect(plant("const a = require('a');", canaries)).toMatch(/^const a = require\('a'\);\n;\nconst test_/);
    expect(plant("import a from 'a';", canaries)).toMatch(/^import a from 'a';\n;\nimport test_/);
  });
});
