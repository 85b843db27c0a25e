/**
 * The `wasm` sandbox gives the verdicts of real `node --test`.
 *
 * Covered: visible and hidden suites of 50 random seedlings, as they are and repaired, test by test; suites written here
 * for what seedlings do not use. Not covered: messages, which are the sandbox's own.
 */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, sep } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.ts';
import type { FileTree } from '../../src/core/task.ts';
import type { SuiteRun } from '../../src/sandbox/sandbox.ts';
import { wasmLimits, wasmSandboxes } from '../../src/sandbox/sandboxes/wasm.ts';
import { seedlings } from '../../src/tasks/seedlings/seedlings.ts';

/** `path > title` to what became of it. */
type Statuses = Readonly<Record<string, string>>;

/** One line of JSON a test; with `--test-isolation=none` every file runs in one process, which takes a second in all. */
const reporter = `export default async function* (events) {
  for await (const { type, data } of events) {
    if ((type === 'test:pass' || type === 'test:fail') && data.details?.type !== 'suite') {
      yield JSON.stringify({ file: data.file, name: data.name, status: type === 'test:pass' ? 'passed' : 'failed' }) + '\\n';
    }
  }
}
`;

const sandboxes = wasmSandboxes({ threads: 2 });
let folder = '';
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'espalier-agreement-')));
  await writeFile(join(folder, 'reporter.mjs'), reporter);
});
afterAll(async () => {
  await sandboxes.close();
  await rm(folder, { recursive: true, force: true });
});

const testsOf = (tree: FileTree): readonly string[] =>
  Object.keys(tree).filter((path) => /\.test\.[cm]?js$/.test(path));

async function inSandbox(tree: FileTree): Promise<SuiteRun> {
  const sandbox = await sandboxes.start(tree, wasmLimits);
  return sandbox.runTests(testsOf(tree));
}

function statusesOf(run: SuiteRun): Statuses {
  return Object.fromEntries(run.tests.map((test) => [test.id, test.status]));
}

/** Writes trees to folders and runs all their tests in one `node --test`; null when it did not end by itself. */
async function inNode(trees: readonly FileTree[], timeoutMs: number): Promise<Statuses[] | null> {
  const root = await mkdtemp(join(folder, 'run-'));
  const paths: string[] = [];
  for (const [index, tree] of trees.entries()) {
    for (const [path, text] of Object.entries(tree)) {
      const file = join(root, String(index), path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text);
    }
    paths.push(...testsOf(tree).map((path) => join(root, String(index), path)));
  }
  const options = [
    '--test',
    '--test-isolation=none',
    '--test-concurrency=1',
    `--test-reporter=${join(folder, 'reporter.mjs')}`,
  ];
  const child = spawn(process.execPath, [...options, ...paths], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: timeoutMs,
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += String(chunk);
  });
  const signal = await new Promise<string | null>((resolve) => child.on('close', (_, killedBy) => resolve(killedBy)));
  if (signal !== null) return null;
  const statuses: Record<string, string>[] = trees.map(() => ({}));
  for (const line of output.split('\n').filter((text) => text.startsWith('{'))) {
    const { file, name, status } = JSON.parse(line) as { file: string; name: string; status: string };
    const [index = '', ...path] = relative(root, file).split(sep);
    const found = statuses[Number(index)];
    if (found !== undefined) found[`${path.join('/')} > ${name}`] = status;
  }
  return statuses;
}

describe('the sandbox agrees with node --test', () => {
  const seed = 20261125;
  it(`on 50 random seedlings, wrong and repaired (seed ${seed})`, async () => {
    const random = new Random(BigInt(seed));
    const taskset = seedlings('train');
    const tasks = Array.from({ length: 50 }, () => taskset.task(random.below(1_000_000)));
    const wrong = tasks.map((task): FileTree => ({ ...task.files, ...task.hidden }));
    const right = tasks.map((task): FileTree => ({ ...task.files, ...task.solution, ...task.hidden }));
    const runs = await Promise.all([...wrong, ...right].map(async (tree) => ({ tree, run: await inSandbox(tree) })));
    const ended = runs.filter(({ run }) => run.completed);
    expect(ended.length).toBeGreaterThan(90);
    const real = await inNode(
      ended.map(({ tree }) => tree),
      60_000,
    );
    expect(ended.map(({ run }) => statusesOf(run))).toEqual(real);
    for (const { run } of runs.slice(50)) expect(run.tests.every((test) => test.status === 'passed')).toBe(true);
    // What runs out of fuel here does not end there.
    const endless = runs.find(({ run }) => run.message?.startsWith('ran out of fuel'));
    if (endless !== undefined) expect(await inNode([endless.tree], 4000)).toBeNull();
  });

  const plain = (tests: string, source = ''): FileTree => ({
    'src/code.js': source,
    'test/code.test.js': `const test = require('node:test');\nconst { describe, it } = test;\nconst assert = require('node:assert');\nconst code = require('../src/code.js');\n${tests}\n`,
  });
  const suites: Readonly<Record<string, FileTree>> = {
    assertions: plain(
      [
        'assert.ok(0)',
        'assert(1)',
        "assert.equal(1, '1')",
        'assert.equal(null, undefined)',
        'assert.equal(NaN, NaN)',
        "assert.equal('a', 'b')",
        'assert.notEqual(1, 2)',
        'assert.strictEqual(0, -0)',
        'assert.strictEqual(NaN, NaN)',
        'assert.notStrictEqual(1, 1)',
        "assert.deepEqual({ a: 1, b: ['2'] }, { b: [2], a: '1' })",
        'assert.deepStrictEqual({ a: 1 }, { a: 1, b: undefined })',
        'assert.deepStrictEqual([1, , 3], [1, undefined, 3])',
        'assert.deepStrictEqual([-0], [0])',
        'assert.deepStrictEqual([NaN], [NaN])',
        'assert.deepStrictEqual(new Map([[1, { a: 2 }]]), new Map([[1, { a: 2 }]]))',
        'assert.deepStrictEqual(new Map([[1, { a: 2 }]]), new Map([[1, { a: 3 }]]))',
        'assert.deepStrictEqual(new Set([1, [2]]), new Set([[2], 1]))',
        'assert.deepStrictEqual(new Date(5), new Date(5))',
        'assert.deepStrictEqual(new Date(5), new Date(6))',
        'assert.deepStrictEqual(/a/g, /a/i)',
        "assert.deepStrictEqual(new Error('a'), new Error('b'))",
        'assert.deepStrictEqual(new (class A { x = 1 })(), { x: 1 })',
        'assert.deepEqual(new (class A { x = 1 })(), { x: 1 })',
        'assert.deepStrictEqual(Object.create(null), {})',
        'assert.deepStrictEqual(Object(1), Object(2))',
        'assert.deepStrictEqual(new Uint8Array([1, 2]), new Uint8Array([1, 2]))',
        'assert.deepStrictEqual(new Uint8Array([1, 2]), new Uint8Array([1, 3]))',
        "assert.deepStrictEqual('a', 'a')",
        'assert.notDeepStrictEqual([1], [1])',
        'assert.notDeepEqual({ a: 1 }, { a: 2 })',
        'const a = {}; a.a = a; const b = {}; b.a = b; assert.deepStrictEqual(a, b)',
        "assert.throws(() => { throw new TypeError('no'); }, TypeError)",
        "assert.throws(() => { throw new TypeError('no'); }, RangeError)",
        "assert.throws(() => { throw new Error('no way'); }, /way/)",
        "assert.throws(() => { throw new Error('no way'); }, /yes/)",
        "assert.throws(() => { throw new RangeError('x'); }, { name: 'RangeError', message: 'x' })",
        "assert.throws(() => { throw new RangeError('x'); }, { name: 'RangeError', message: /y/ })",
        "assert.throws(() => { throw new Error('x'); }, (error) => error.message === 'x')",
        'assert.throws(() => {})',
        "assert.throws(() => {}, 'a message')",
        'assert.doesNotThrow(() => {})',
        "assert.doesNotThrow(() => { throw new Error('x'); })",
        "assert.match('abc', /b/)",
        "assert.doesNotMatch('abc', /b/)",
        'assert.ifError(null)',
        "assert.ifError(new Error('x'))",
        "assert.fail('x')",
        'assert.strict.equal(1, 1)',
        "assert.strict.equal(1, '1')",
      ]
        .map((line, index) => `test('assertion ${index}', () => { ${line}; });`)
        .join('\n'),
    ),
    asynchrony: plain(
      `
test('resolves', async () => { assert.equal(await code.later(3), 3); });
test('rejects', async () => { await code.fails(); assert.ok(true); });
test('returned promise', () => code.later(1).then((value) => assert.equal(value, 2)));
test('expects a rejection', async () => { await assert.rejects(code.fails(), /broken/); });
test('expects another rejection', async () => { await assert.rejects(code.fails(), /other/); });
test('does not reject', async () => { await assert.doesNotReject(code.later(1)); });
test('timers in order', async () => {
  const seen = [];
  await Promise.all([5, 1, 3].map((ms) => new Promise((done) => setTimeout(() => { seen.push(ms); done(); }, ms * 4))));
  assert.deepStrictEqual(seen, [1, 3, 5]);
});
test('microtasks first', async () => {
  const seen = [];
  setTimeout(() => seen.push('timer'), 0);
  queueMicrotask(() => seen.push('microtask'));
  await new Promise((done) => setTimeout(done, 2));
  assert.deepStrictEqual(seen, ['microtask', 'timer']);
});`,
      "exports.later = (value) => new Promise((resolve) => setTimeout(resolve, 1, value));\nexports.fails = async () => { throw new Error('broken'); };\n",
    ),
    languages: plain(
      `
test('a subclass of Error names itself', () => { assert.throws(() => code.bad(), { name: 'BadInput', message: 'no' }); });
test('own names of prototypes', () => { const o = {}; o.toString = () => 'mine'; o.constructor = 1; assert.equal(o + '', 'mine'); });
test('a class with toString', () => { assert.equal(\`\${new code.Point(1, 2)}\`, '1,2'); });
test('structuredClone', () => { assert.deepStrictEqual(structuredClone({ a: [1, new Map([[1, 2]])] }), { a: [1, new Map([[1, 2]])] }); });
test('sorts and groups', () => { assert.deepStrictEqual([3, 1, 2].toSorted(), [1, 2, 3]); assert.ok(Object.groupBy([1, 2], (n) => n % 2)); });
test('regular expressions', () => { assert.deepStrictEqual('2026-01-02'.match(/(?<y>\\d+)-(\\d+)/).groups.y, '2026'); });
test('json', () => { assert.equal(JSON.stringify({ a: [1, { b: undefined }] }), '{"a":[1,{}]}'); });
test('generators', () => { assert.deepStrictEqual([...code.count(3)], [0, 1, 2]); });
test('getters and symbols', () => { assert.equal(code.temperature.fahrenheit, 212); });
test('implicit globals', () => { assert.equal(code.leak(), 5); });
test('inherits the old way', () => { assert.ok(new code.Old() instanceof Error); assert.equal(new code.Old().name, 'Old'); });
describe('a suite', () => { it('has a test', () => assert.ok(true)); });`,
      `class BadInput extends Error { constructor(message) { super(message); this.name = 'BadInput'; } }
exports.bad = () => { throw new BadInput('no'); };
exports.Point = class { constructor(x, y) { this.x = x; this.y = y; } toString() { return this.x + ',' + this.y; } };
exports.count = function* (n) { for (let i = 0; i < n; i++) yield i; };
exports.temperature = { celsius: 100, get fahrenheit() { return this.celsius * 1.8 + 32; } };
exports.leak = () => { leaked = 5; return leaked; };
function Old() { this.message = 'old'; this.name = 'Old'; }
Old.prototype = Object.create(Error.prototype);
Old.prototype.constructor = Old;
Old.prototype.toString = () => 'old';
exports.Old = Old;
`,
    ),
    'ES modules': {
      'package.json': '{ "type": "module" }',
      'src/code.js':
        "import { base } from './deep/base.js';\nexport const next = (n) => n + base;\nexport default next;\n",
      'src/deep/base.js': 'export const base = 1;\n',
      'test/code.test.js':
        "import test, { it } from 'node:test';\nimport assert, { strictEqual } from 'node:assert/strict';\nimport next, { next as same } from '../src/code.js';\ntest('adds', () => assert.equal(next(1), 2));\nit('fails', () => strictEqual(same(1), 3));\nit('imports later', async () => { assert.equal((await import('../src/code.js')).next(2), 3); });\n",
    },
    'several files, each with modules of its own': {
      'lib/index.js': 'let count = 0;\nmodule.exports = { next: () => ++count, data: require("./data") };\n',
      'lib/data.json': '{ "a": [1] }',
      'test/a.test.js':
        "const test = require('node:test'); const assert = require('assert'); const lib = require('../lib');\ntest('first', () => assert.equal(lib.next(), 1));\ntest('second', () => assert.equal(lib.next(), 2));\ntest('data', () => assert.deepStrictEqual(lib.data, { a: [1] }));\n",
    },
  };
  it(`on suites of ${Object.keys(suites).join(', ')}`, async () => {
    const trees = Object.values(suites);
    const runs = await Promise.all(trees.map(inSandbox));
    expect(runs.map((run) => run.message)).toEqual(trees.map(() => null));
    const real = await inNode(trees, 30_000);
    // Node names a test in a suite by its own title only.
    const ours = runs.map((run) =>
      Object.fromEntries(Object.entries(statusesOf(run)).map(([id, status]) => [id.replace(' > a suite', ''), status])),
    );
    expect(ours).toEqual(real);
    expect(ours.flatMap(Object.values).filter((status) => status === 'failed').length).toBeGreaterThan(20);
  });

  it('but fails what would pass without an assertion that held, and primitives that only claim to be equal', async () => {
    const run = await inSandbox(
      plain(
        `test('no assertion', () => { code.f(); });
test('an assertion that is never reached', () => code.f().then((value) => assert.equal(value, 1)));
test('an assertion that waits for ever', async () => { assert.equal(await code.f(), 1); });
test('a failure that the code swallows', () => { code.each([1], (item) => assert.equal(item, 2)); });
test('an object that claims to be 1', () => { assert.equal({ valueOf: () => 1 }, 1); });`,
        'exports.f = () => ({ then() {} });\nexports.each = (list, call) => { try { list.forEach(call); } catch {} };\n',
      ),
    );
    expect(run.tests.map((test) => test.message)).toEqual([
      'it makes no assertion',
      'it makes no assertion',
      'its promise never settles',
      'expected 2, got 1',
      'expected 1, got { valueOf: [Function] }',
    ]);
  });
});
