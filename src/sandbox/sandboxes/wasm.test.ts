import { afterAll, describe, expect, it } from 'vitest';
import { wasmLimits, wasmSandboxes } from './wasm.ts';
import { Machine } from './wasm-machine.ts';

const sandboxes = wasmSandboxes({ threads: 2 });
afterAll(() => sandboxes.close());

const head =
  "const test = require('node:test');\nconst assert = require('node:assert');\nconst code = require('../src/code.js');\n";
const tree = (source: string, tests: string) => ({ 'src/code.js': source, 'test/code.test.js': head + tests });
const run = async (source: string, tests = "test('t', () => assert.strictEqual(code(), undefined));") =>
  (await sandboxes.start(tree(source, tests), wasmLimits)).runTests(['test/code.test.js']);
/** The message of an assertion that shows what an expression gives. */
const shown = async (expression: string): Promise<string> =>
  (await run(`module.exports = () => (${expression});`, "test('t', () => assert.strictEqual(code(), Symbol('x')));"))
    .tests[0]?.message ?? '';

describe('the same program, always', () => {
  it('stops at the same place when it runs out of fuel, in any thread', () => {
    const source = 'let n = 0;\nmodule.exports = { spin() { for (;;) n++; }, read: () => n };';
    return Promise.all(
      [1, 2].map(async () => {
        const machine = await Machine.open(1 << 24);
        const files = tree(source, "test('spins', () => { code.spin(); });");
        const fuel = { left: 5 };
        const ran = machine.runFile(files, ['test/code.test.js'], 'test/code.test.js', fuel);
        return { ran, fuel };
      }),
    ).then(([one, two]) => {
      expect(one).toEqual({
        ran: { tests: [{ title: 'spins', failure: 'ran out of fuel' }], loadError: '', halt: 'ran out of fuel' },
        fuel: { left: -1 },
      });
      expect(two).toEqual(one);
    });
  });

  it('sees a clock that stands still in UTC, and one sequence of random numbers', async () => {
    expect(await shown("new Date().toISOString() + ' ' + new Date(2026, 6, 1, 3).getTime()")).toContain(
      `2026-01-01T00:00:00.000Z ${Date.UTC(2026, 6, 1, 3)}`,
    );
    expect(await shown('[Math.random(), Math.random()]')).toBe(await shown('[Math.random(), Math.random()]'));
    expect(
      await shown('class extends Date {}.prototype.constructor === Date || new Date(7) instanceof Date'),
    ).toContain('true');
  });

  it('finds every standard global frozen', async () => {
    const open = `Reflect.ownKeys(globalThis).filter((key) => {
      const value = globalThis[key];
      const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
      const rebindable = Object.getOwnPropertyDescriptor(globalThis, key).writable;
      return rebindable || (isObject && value !== globalThis && !Object.isFrozen(value));
    })`;
    expect(await shown(open)).toContain('got []');
  });
});

describe('what no fuel can stop', () => {
  it('is stopped by the clock, says the same, and the next suite runs', async () => {
    const endless = 'module.exports = () => [].includes.call({ length: 2 ** 53 - 1 }, 1);';
    expect(await run(endless)).toEqual({ completed: false, tests: [], message: 'ran out of fuel' });
    expect((await run('module.exports = () => {};')).completed).toBe(true);
  });

  it('is a recursion that ends in an error, however the engine recurses', async () => {
    const sources = [
      'const down = () => [1].map(down); module.exports = down;',
      "module.exports = () => JSON.parse('['.repeat(100000));",
      "module.exports = () => new Function('return ' + '('.repeat(100000));",
      'class A { get x() { return this.x; } } module.exports = () => new A().x;',
      'const a = []; a[0] = a; const b = () => String([a, b()]); module.exports = b;',
      'let p = {}; for (let i = 0; i < 3000; i++) p = new Proxy(p, {}); module.exports = () => p.x.y;',
    ];
    for (const source of sources) {
      const result = await run(source);
      expect(result).toMatchObject({ completed: true, message: null });
      expect(result.tests[0]?.status).toBe('failed');
    }
  });
});

describe('what a failure says', () => {
  const cases: readonly (readonly [string, string])[] = [
    ["'it'", "'it'"],
    ['"it\'s"', '"it\'s"'],
    ['[1, , -0, 2n, null]', '[1, , -0, 2n, null]'],
    ["{ a: { b: [undefined] }, 'c-d': NaN }", "{ a: { b: [undefined] }, 'c-d': NaN }"],
    ["new Map([['a', 1]])", "Map { 'a' => 1 }"],
    ['new Set([1])', 'Set { 1 }'],
    ['new (class Point { x = 1 })()', 'Point { x: 1 }'],
    ['() => 1', '[Function]'],
    ["new RangeError('no')", 'RangeError: no'],
    ['new Proxy({}, { ownKeys() { throw 1; } })', '[Object]'],
    ['{ get a() { throw 1; } }', '{ a: [getter] }'],
    ["'x\\ny'", "'x\\ny'"],
  ];
  for (const [expression, text] of cases) {
    it(`${expression} as ${text}`, async () => {
      expect(await shown(expression)).toBe(`expected Symbol(x), got ${text}`);
    });
  }

  it('stays on one short line whatever the values are', async () => {
    for (const expression of [
      "'x'.repeat(1e5)",
      'Array.from({ length: 1e4 }, (_, i) => i)',
      "new Error('a\\nb'.repeat(999))",
    ]) {
      const message = await shown(expression);
      expect(message.length).toBeLessThan(140);
      expect(message).not.toContain('\n');
    }
  });

  it('names the place in the tree where an error was thrown', async () => {
    const result = await run('module.exports = () => {\n  return undefined.x;\n};');
    expect(result.tests[0]?.message).toMatch(/^threw TypeError: .* at src\/code\.js:2$/);
  });
});
