/** What every sandbox provider must do, whatever it is made of. A new provider adds one line to `providers`. */
import { afterAll, describe, expect, it } from 'vitest';
import type { SandboxLimits, SandboxProvider } from '../../src/sandbox/sandbox.ts';
import { wasmSandboxes } from '../../src/sandbox/sandboxes/wasm.ts';

const providers: Readonly<Record<string, () => SandboxProvider>> = {
  wasm: () => wasmSandboxes({ threads: 2 }),
};

const limits: SandboxLimits = { timeMs: 50, memoryBytes: 32 * 1024 * 1024 };
const suite = [
  "const test = require('node:test');",
  "const assert = require('node:assert');",
  "const { twice } = require('../src/twice.js');",
  "test('doubles', () => assert.strictEqual(twice(4), 8));",
  "test('doubles later', async () => { assert.strictEqual(await Promise.resolve(twice(1)), 2); });",
  '',
].join('\n');
const files = { 'src/twice.js': 'exports.twice = (x) => x * 2;\n', 'test/twice.test.js': suite };
const passed = [
  { id: 'test/twice.test.js > doubles', status: 'passed', message: '' },
  { id: 'test/twice.test.js > doubles later', status: 'passed', message: '' },
];

for (const [name, make] of Object.entries(providers)) {
  describe(`a sandbox of ${name}`, () => {
    const provider = make();
    afterAll(() => provider.close());
    const withSource = (source: string) => provider.start({ ...files, 'src/twice.js': source }, limits);
    const run = async (source: string) => (await withSource(source)).runTests(['test/twice.test.js']);

    it('is a copy: writes reach neither the tree it was given nor another sandbox', async () => {
      const [one, other] = await Promise.all([provider.start(files, limits), provider.start(files, limits)]);
      one.write('src/twice.js', 'exports.twice = 0;');
      expect(other.read('src/twice.js')).toBe(files['src/twice.js']);
      expect(files['src/twice.js']).toContain('x * 2');
    });

    it('lists, reads, and tells what changed', async () => {
      const sandbox = await provider.start(files, limits);
      expect(sandbox.list()).toEqual(['src/twice.js', 'test/twice.test.js']);
      expect(sandbox.read('src/none.js')).toBeNull();
      expect(sandbox.read('__proto__')).toBeNull();
      expect(sandbox.diff()).toEqual({});
      sandbox.write('src/new.js', '1');
      sandbox.write('test/twice.test.js', suite);
      expect(sandbox.diff()).toEqual({ 'src/new.js': '1' });
      sandbox.write('src/twice.js', '2');
      expect(sandbox.diff()).toEqual({ 'src/new.js': '1', 'src/twice.js': '2' });
    });

    for (const path of ['', '/etc/passwd', '../a.js', 'src/../../a.js', 'src//a.js', './a.js', 'src\\a.js', 'a\0.js']) {
      it(`refuses to write ${JSON.stringify(path)}`, async () => {
        const sandbox = await provider.start(files, limits);
        expect(() => sandbox.write(path, 'x')).toThrow(expect.objectContaining({ boundary: 'sandbox' }));
        expect(sandbox.diff()).toEqual({});
      });
    }

    it('refuses a tree over its size bound', async () => {
      const sandbox = await provider.start(files, limits);
      expect(() => sandbox.write('src/big.js', 'x'.repeat(64 * 1024 * 1024))).toThrow(/over/);
    });

    it('runs a suite and reports each test', async () => {
      const sandbox = await provider.start(files, limits);
      expect(await sandbox.runTests(['test/twice.test.js'])).toEqual({ completed: true, tests: passed, message: null });
    });

    it('runs the tree as it is at the call, whatever is written meanwhile', async () => {
      const sandbox = await provider.start(files, limits);
      const first = sandbox.runTests(['test/twice.test.js']);
      sandbox.write('src/twice.js', 'exports.twice = () => 0;');
      const second = sandbox.runTests(['test/twice.test.js']);
      expect((await first).tests).toEqual(passed);
      expect((await second).tests.map((test) => test.status)).toEqual(['failed', 'failed']);
    });

    it('says in a failure what was expected and what came', async () => {
      expect((await run('exports.twice = (x) => x + 2;')).tests[0]?.message).toBe('expected 8, got 6');
    });

    const endings: readonly (readonly [string, string, RegExp])[] = [
      ['never ends at load', 'for (;;);', /^ran out of fuel/],
      ['never ends in a test', 'exports.twice = () => { for (;;); };', /^ran out of fuel/],
      ['never ends in promises', '(function again() { Promise.resolve().then(again); })();', /^ran out of fuel/],
      ['backtracks for ever', "exports.twice = () => /(a+)+$/.test('a'.repeat(50) + 'b');", /^ran out of fuel/],
      [
        'eats memory',
        "exports.twice = () => { for (const a = []; ; ) a.push('x'.repeat(999) + a.length); };",
        /^ran out of memory/,
      ],
      ['exits', 'process.exit(0);', /process\.exit/],
      ['is no JavaScript', 'exports.twice = (', /^cannot load: SyntaxError/],
      ['throws at load', "throw new RangeError('no');", /^cannot load: RangeError: no/],
    ];
    for (const [what, source, message] of endings) {
      it(`a program that ${what} does not complete, the same way each time`, async () => {
        const [one, two] = await Promise.all([run(source), run(source)]);
        expect(one.completed).toBe(false);
        expect(one.message).toMatch(message);
        expect(one.message).not.toMatch(/\n|\/work|\/home|\/tmp|\bms\b/);
        expect(two).toEqual(one);
      });
    }

    it('a program that recurses for ever fails its tests and no more', async () => {
      const result = await run('exports.twice = (x) => exports.twice(x);');
      expect(result).toMatchObject({ completed: true });
      expect(result.tests.map((test) => test.status)).toEqual(['failed', 'failed']);
    });

    it('a suite after any of these runs as if it were the first', async () => {
      for (const [, source] of endings) await run(source);
      expect((await run(files['src/twice.js'])).tests).toEqual(passed);
    });

    it('has no clock, no entropy, no network, no file system', async () => {
      const probe = (code: string) => run(`exports.twice = () => String(${code});`);
      const once = async (code: string) => (await probe(code)).tests[0]?.message;
      for (const code of [
        'Date.now()',
        'new Date()',
        'Math.random()',
        'new Date(2026, 0, 1, 12).getTimezoneOffset()',
      ]) {
        expect(await once(code)).toBe(await once(code));
      }
      const absent = '[typeof fetch, typeof XMLHttpRequest, typeof WebSocket, typeof Deno, typeof WebAssembly].join()';
      expect(await once(absent)).toContain('undefined,undefined,undefined,undefined,undefined');
      for (const module of ['fs', 'node:fs', 'net', 'child_process', 'node:worker_threads', 'os', 'module']) {
        expect((await run(`require('${module}');`)).message).toMatch(/^cannot load: Error: Cannot find module/);
      }
    });

    it('a missing test file does not complete', async () => {
      const sandbox = await provider.start(files, limits);
      expect(await sandbox.runTests(['test/none.test.js'])).toEqual({
        completed: false,
        tests: [],
        message: 'no file test/none.test.js',
      });
    });

    it('rejects as cancelled when the signal aborts, and goes on to serve', async () => {
      const sandbox = await provider.start(files, limits);
      await expect(sandbox.runTests(['test/twice.test.js'], AbortSignal.abort())).rejects.toMatchObject({
        boundary: 'sandbox',
      });
      const controller = new AbortController();
      const cancelled = sandbox.runTests(['test/twice.test.js'], controller.signal);
      controller.abort();
      await expect(cancelled).rejects.toMatchObject({ boundary: 'sandbox' });
      expect((await sandbox.runTests(['test/twice.test.js'])).completed).toBe(true);
    });

    it('gives the same runs in any number at once', async () => {
      const sandbox = await provider.start(files, limits);
      const runs = await Promise.all(Array.from({ length: 40 }, () => sandbox.runTests(['test/twice.test.js'])));
      for (const one of runs) expect(one.tests).toEqual(passed);
    });

    it('rejects calls after it was closed', async () => {
      const own = make();
      const sandbox = await own.start(files, limits);
      await sandbox.close();
      await expect(sandbox.runTests(['test/twice.test.js'])).rejects.toMatchObject({ boundary: 'sandbox' });
      const late = await own.start(files, limits);
      const pending = expect(late.runTests(['test/twice.test.js'])).rejects.toMatchObject({ boundary: 'sandbox' });
      await own.close();
      await pending;
      await expect(late.runTests(['test/twice.test.js'])).rejects.toMatchObject({ boundary: 'sandbox' });
    });
  });
}
