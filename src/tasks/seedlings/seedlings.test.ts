import { createHash } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import type { FileTree, Task } from '../../core/task.ts';
import type { SuiteRun } from '../../sandbox/sandbox.ts';
import { wasmLimits, wasmSandboxes } from '../../sandbox/sandboxes/wasm.ts';
import { partsOf } from './compose.ts';
import { fragment } from './fragment.ts';
import { fragments, novelFragments } from './fragments.ts';
import {
  fixedSize,
  growSeedling,
  type Seedling,
  type SeedlingSet,
  seedlingOf,
  seedlingSets,
  seedlings,
} from './seedlings.ts';
import {
  hasHeldOutConstants,
  heldOutOperators,
  isHeldOutComposition,
  isHeldOutConstants,
  mutantsOfCode,
  operatorsOf,
  trainFragments,
  trainOperators,
} from './split.ts';
import { isHeldOutName } from './words.ts';

const sandboxes = wasmSandboxes({ threads: 1 });
afterAll(() => sandboxes.close());

const some = (set: SeedlingSet, count: number): Seedling[] =>
  Array.from({ length: count }, (_, index) => growSeedling(set, index));

async function run(files: FileTree, tests: readonly string[]): Promise<SuiteRun> {
  const sandbox = await sandboxes.start(files, wasmLimits);
  try {
    return await sandbox.runTests(tests);
  } finally {
    await sandbox.close();
  }
}

const graded = (task: Task): readonly string[] => [
  ...new Set(task.expectedTests.map((id) => id.split(' > ')[0] as string)),
];
const sources = (task: Task): [string, string][] =>
  Object.entries(task.files).filter(([path]) => path.startsWith('src/'));

describe.each(seedlingSets)('tasks of %s', (set) => {
  it('fail as they are found and pass when solved, under exactly the expected ids', async () => {
    for (const { task } of some(set, 60)) {
      const wrong = await run({ ...task.files, ...task.hidden }, graded(task));
      expect(wrong.completed, task.id).toBe(true);
      expect(
        wrong.tests.some(({ status }) => status === 'failed'),
        task.id,
      ).toBe(true);
      const right = await run({ ...task.files, ...task.solution, ...task.hidden }, graded(task));
      expect(
        right.tests.map(({ id, status }) => `${status} ${id}`),
        task.id,
      ).toEqual(task.expectedTests.map((id) => `passed ${id}`));
    }
  });

  it('need every file of the solution', async () => {
    const twofold = some(set, 150).filter(({ task }) => task.origin.fileCount > 1);
    expect(twofold.length).toBeGreaterThan(5);
    for (const { task } of twofold.slice(0, 12)) {
      for (const [path, text] of Object.entries(task.solution)) {
        const half = await run({ ...task.files, [path]: text, ...task.hidden }, graded(task));
        expect(
          half.tests.some(({ status }) => status === 'failed'),
          `${task.id} ${path}`,
        ).toBe(true);
      }
    }
  });

  it('differ from their solution in one line of each file that is wrong', () => {
    for (const { task } of some(set, 200)) {
      expect(Object.keys(task.solution)).toHaveLength(task.origin.fileCount);
      for (const [path, text] of Object.entries(task.solution)) {
        const found = (task.files[path] as string).split('\n');
        const right = text.split('\n');
        expect(found).toHaveLength(right.length);
        expect(
          right.filter((line, index) => line !== found[index]),
          task.id,
        ).toHaveLength(1);
      }
    }
  });

  it('have two to five short files in plain characters, all of them required', () => {
    for (const { task } of some(set, 200)) {
      const files = sources(task);
      expect(files.length).toBeGreaterThanOrEqual(2);
      expect(files.length).toBeLessThanOrEqual(5);
      expect(task.allowedPaths).toEqual(files.map(([path]) => path));
      const required = files.flatMap(([, text]) =>
        [...text.matchAll(/require\('\.\/(\w+)\.js'\)/g)].map(([, name]) => `src/${name}.js`),
      );
      expect(new Set(required).size).toBe(files.length - 1);
      for (const [, text] of files) {
        expect(text).not.toMatch(/["\\`$\t]/);
        expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(12);
        expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(90);
      }
      expect(task.statement).not.toMatch(/["\\`$\t]| {2}/);
      expect(task.statement.length).toBeLessThan(700);
      for (const path of task.allowedPaths) expect(task.statement).toContain(path);
    }
  });

  it('show a wrong file by two calls with different answers, some of them in the hidden tests only', () => {
    for (const { task } of some(set, 100)) {
      const answersIn = (text: string, title: string): string[] => {
        const block = text.split('\ntest(').find((each) => each.startsWith(`'${title}'`)) ?? '';
        return [...block.matchAll(/qual\(.*\), (.*)\);$/gm)].map(([, answer]) => answer as string);
      };
      const visible = task.files['test/main.test.js'] as string;
      const hidden = task.hidden['test/hidden.test.js'] as string;
      for (const title of new Set(task.expectedTests.map((id) => id.split(' > ')[1] as string))) {
        expect(answersIn(visible, title).length, `${task.id} ${title}`).toBeGreaterThan(0);
        expect(answersIn(hidden, title).length, `${task.id} ${title}`).toBeGreaterThan(0);
      }
      for (const path of Object.keys(task.solution)) {
        const title = task.statement
          .split('\n')
          .find((line) => line.startsWith(path))
          ?.split(/[ (:]/)[1] as string;
        const answers = [...answersIn(visible, title), ...answersIn(hidden, title)];
        expect(new Set(answers).size, `${task.id} ${title}`).toBeGreaterThan(1);
      }
    }
  });
});

describe('what is held out', () => {
  const functionNames = (seedling: Seedling): [string, string][] =>
    [...seedling.names.values()].map((names) => {
      const [, verb = '', noun = ''] = /^([A-Za-z][a-z]*)([A-Z][a-z]*)$/.exec(names.get('f') as string) ?? [];
      return [verb.toLowerCase(), noun.toLowerCase()];
    });

  it('never occurs in training: names, constants, compositions, pairs, fragments', () => {
    for (const seedling of some('train', 400)) {
      expect(functionNames(seedling).some(([verb, noun]) => isHeldOutName(verb, noun))).toBe(false);
      expect(isHeldOutComposition(seedling.root)).toBe(false);
      for (const { fragment, constants } of partsOf(seedling.root)) {
        expect(hasHeldOutConstants(fragment) && isHeldOutConstants(fragment, constants)).toBe(false);
        expect(novelFragments.has(fragment.name)).toBe(false);
      }
      for (const { part, code } of seedling.bug.sites) {
        const operator = mutantsOfCode(part.form.code).find((mutant) => mutant.code === code)?.operator;
        if (operator) expect(heldOutOperators(part.fragment).has(operator)).toBe(false);
      }
      const { fragment, operator } = seedling.task.origin;
      expect(trainOperators(fragments.find(({ name }) => name === fragment) as (typeof fragments)[number])).toContain(
        operator,
      );
    }
  });

  it('is what the fixed sets are made of', () => {
    for (const seedling of some('unseen', fixedSize)) {
      expect(functionNames(seedling).every(([verb, noun]) => isHeldOutName(verb, noun))).toBe(true);
      expect(isHeldOutComposition(seedling.root)).toBe(true);
    }
    for (const { task, root, bug } of some('transfer', fixedSize)) {
      const fragment = fragments.find(({ name }) => name === task.origin.fragment) as (typeof fragments)[number];
      expect(heldOutOperators(fragment)).toContain(task.origin.operator);
      for (const { part, code } of bug.sites.slice(1)) {
        const operator = mutantsOfCode(part.form.code).find((mutant) => mutant.code === code)?.operator;
        if (operator) expect(trainOperators(part.fragment)).toContain(operator);
      }
      expect(isHeldOutComposition(root)).toBe(false);
    }
    for (const { task } of some('novel', 60)) expect(novelFragments).toContain(task.origin.fragment);
  });

  it('leaves every fragment operators, and every operator fragments, in training', () => {
    expect(trainFragments.length).toBeGreaterThanOrEqual(30);
    const trained = new Set(trainFragments.flatMap(trainOperators));
    expect(trained.size).toBeGreaterThanOrEqual(12);
    const pairs = trainFragments.flatMap(operatorsOf).length;
    const held = trainFragments.reduce((sum, fragment) => sum + heldOutOperators(fragment).size, 0);
    expect(held / pairs).toBeGreaterThan(0.2);
    expect(held / pairs).toBeLessThan(0.32);
    for (const fragment of trainFragments) {
      expect(trainOperators(fragment).length).toBeGreaterThanOrEqual(2);
      for (const operator of heldOutOperators(fragment)) expect(trained).toContain(operator);
    }
  });

  it('is spread evenly over fragments', () => {
    for (const set of ['unseen', 'transfer'] as const) {
      const counts = new Map<string, number>();
      for (const { task } of some(set, fixedSize))
        counts.set(task.origin.fragment, (counts.get(task.origin.fragment) ?? 0) + 1);
      expect(counts.size).toBe(trainFragments.length);
      expect(Math.max(...counts.values()) - Math.min(...counts.values())).toBeLessThanOrEqual(1);
    }
  });
});

describe('practice', () => {
  it('is training with every file wrong', () => {
    for (const { task, root, bug } of some('practice', 100)) {
      expect(Object.keys(task.solution).sort(), task.id).toEqual([...task.allowedPaths].sort());
      expect(bug.sites).toHaveLength(partsOf(root).length);
      expect(isHeldOutComposition(root)).toBe(false);
      for (const { part, code } of bug.sites) {
        const operator = mutantsOfCode(part.form.code).find((mutant) => mutant.code === code)?.operator;
        if (operator) expect(heldOutOperators(part.fragment).has(operator), task.id).toBe(false);
      }
    }
  });
});

describe('the generator', () => {
  it('refuses a fragment whose choices in code and in specification do not pair', () => {
    const parts = { takes: ['num'], gives: 'num', code: 'exports.$f = ($num) => $num «+~-~*» 2;' } as const;
    expect(() => fragment('odd', { ...parts, says: '$num «plus~minus» 2' })).toThrow(
      '«plus~minus» has no choice 2: as many in code as in specification',
    );
  });

  it('makes two-file bugs a tenth or more of the tasks', () => {
    for (const set of ['train', 'unseen', 'transfer'] as const) {
      const twofold = some(set, fixedSize).filter(({ task }) => task.origin.fileCount > 1).length;
      expect(twofold / fixedSize, set).toBeGreaterThan(0.1);
    }
  });

  it('gives the same task for the same index, whatever was made before', () => {
    const digest = (set: SeedlingSet): string => {
      const tasks = Array.from({ length: 51 }, (_, index) => seedlings(`seedlings/${set}`).task(index));
      return createHash('sha256').update(JSON.stringify(tasks)).digest('hex').slice(0, 16);
    };
    const first = seedlingSets.map(digest);
    expect([...seedlingSets].reverse().map(digest).reverse()).toEqual(first);
    expect(first).toMatchInlineSnapshot(`
      [
        "efdaa1cc0a42fc0e",
        "00fc4717b987800b",
        "58b207a1ba18d771",
        "dcd1275cd72bf7e7",
        "69566aaa5a501ec4",
      ]
    `);
  });

  it('finds a seedling again from a copy of its task', () => {
    const { task } = growSeedling('train', 7);
    expect(seedlingOf({ ...task }).task).toEqual(task);
  });

  it('says which sets and indices there are', () => {
    expect(seedlings('train')).toMatchObject({ name: 'seedlings/train', size: null });
    expect(seedlings('seedlings/unseen')).toMatchObject({ name: 'seedlings/unseen', size: fixedSize });
    expect(() => seedlings('seedlings/other')).toThrow("no tasks 'seedlings/other': use one of seedlings/train");
    expect(() => seedlings('unseen').task(300)).toThrow('seedlings/unseen has no task 300: 0 to 299');
    expect(() => seedlingOf({ ...growSeedling('train', 1).task, id: 'x/1' as Task['id'] })).toThrow('is no seedling');
  });
});
