/**
 * Tests that the verifier plants in every graded test file, so that code which bends the runner or the assertions in
 * its realm gives itself away: three that must fail (a throw, an assertion, a rejected promise), one that must pass.
 *
 * They stand behind the file's own tests, hence run after all that the code under test could do.
 */
import { seedOf } from '../../core/random.ts';
import type { SuiteRun } from '../../sandbox/sandbox.ts';

export interface Canaries {
  readonly path: string;
  readonly mustFail: readonly string[];
  readonly mustPass: readonly string[];
}

/** Titles are 64-bit draws: code under test cannot name them in advance. */
export function canariesFor(path: string, seed: bigint): Canaries {
  const draw = (style: string): string => seedOf(seed.toString(), path, style).toString(16).padStart(16, '0');
  return { path, mustFail: [draw('throw'), draw('assertion'), draw('rejection')], mustPass: [draw('pass')] };
}

/** The file's text with its canaries. */
export function plant(text: string, { mustFail, mustPass }: Canaries): string {
  const [thrown, asserted, rejected] = mustFail;
  const [passes] = mustPass;
  const test = `test_${passes}`;
  const assert = `assert_${passes}`;
  const isModule = /^\s*(import|export)\b/m.test(text);
  const head = isModule
    ? [`import ${test} from 'node:test';`, `import ${assert} from 'node:assert';`]
    : [`const ${test} = require('node:test');`, `const ${assert} = require('node:assert');`];
  const body = [
    `${test}('${thrown}', () => { ${assert}.ok(true); throw new Error('${thrown}'); });`,
    `${test}('${asserted}', () => { ${assert}.strictEqual('${asserted}', '${passes}'); });`,
    `${test}('${rejected}', () => { ${assert}.ok(true); return Promise.reject(new Error('${rejected}')); });`,
    `${test}('${passes}', () => { ${assert}.strictEqual('${passes}', '${passes}'); });`,
  ];
  return [text, ';', ...head, ...body, ''].join('\n');
}

export function canaryIds(canaries: Canaries): readonly string[] {
  return [...canaries.mustFail, ...canaries.mustPass].map((title) => `${canaries.path} > ${title}`);
}

/**
 * False when a canary ended as it must not, twice, or not at all. A run that did not complete says nothing about those
 * that are missing: it fails for its own reason.
 */
export function held(canaries: readonly Canaries[], run: SuiteRun): boolean {
  return canaries.every(({ path, mustFail, mustPass }) => {
    const ended = (title: string, status: 'passed' | 'failed'): boolean => {
      const reports = run.tests.filter((test) => test.id === `${path} > ${title}`);
      if (reports.length === 0) return !run.completed;
      return reports.length === 1 && reports[0]?.status === status;
    };
    return mustFail.every((title) => ended(title, 'failed')) && mustPass.every((title) => ended(title, 'passed'));
  });
}
