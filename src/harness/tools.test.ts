import { afterAll, describe, expect, it } from 'vitest';
import type { SuiteRun } from '../sandbox/sandbox.ts';
import { wasmLimits, wasmSandboxes } from '../sandbox/sandboxes/wasm.ts';
import { builtinTools, describeRun, runTool } from './tools.ts';

const sandboxes = wasmSandboxes({ threads: 1 });
afterAll(() => sandboxes.close());

const files = {
  'package.json': '{}\n',
  'src/add.js': 'exports.add = (a, b) => {\n  return a - b;\n};\n',
  'test/add.test.js': [
    "const test = require('node:test');",
    "const assert = require('node:assert');",
    "const { add } = require('../src/add.js');",
    "test('adds', () => assert.strictEqual(add(2, 3), 5));",
    "test('adds zero', () => assert.strictEqual(add(2, 0), 2));",
    '',
  ].join('\n'),
};
const open = () => sandboxes.start(files, wasmLimits);

describe('the tools', () => {
  it('list gives the paths, sorted', async () => {
    expect(await runTool(await open(), 'list', '{}')).toEqual({
      content: 'package.json\nsrc/add.js\ntest/add.test.js',
      error: false,
    });
  });

  it('read gives the path and then numbered lines', async () => {
    const answer = await runTool(await open(), 'read', '{"path":"src/add.js"}');
    expect(answer.content).toBe('src/add.js\n1 exports.add = (a, b) => {\n2   return a - b;\n3 };');
  });

  it('edit replaces exactly one line and answers with it', async () => {
    const sandbox = await open();
    const answer = await runTool(sandbox, 'edit', '{"path":"src/add.js","line":2,"new":"  return a + b;"}');
    expect(answer).toEqual({ content: '2   return a + b;', error: false });
    expect(sandbox.diff()).toEqual({ 'src/add.js': 'exports.add = (a, b) => {\n  return a + b;\n};\n' });
  });

  it('test names the first failures, or says how many passed', async () => {
    const sandbox = await open();
    expect((await runTool(sandbox, 'test', '')).content).toBe('failed 1 of 2\nadd.test.js > adds: expected 5, got -1');
    await runTool(sandbox, 'edit', '{"path":"src/add.js","line":2,"new":"return a + b"}');
    expect((await runTool(sandbox, 'test', '{}')).content).toBe('ok 2');
  });

  it('test says in one line why the code did not load or end', async () => {
    const sandbox = await open();
    await runTool(sandbox, 'edit', '{"path":"src/add.js","line":2,"new":"  return a - ;"}');
    expect((await runTool(sandbox, 'test', '')).content).toMatch(
      /^failed: cannot load: SyntaxError: .* at src\/add\.js:2$/,
    );
    await runTool(sandbox, 'edit', '{"path":"src/add.js","line":2,"new":"  for (;;);"}');
    expect((await runTool(sandbox, 'test', '')).content).toBe('failed: ran out of fuel in test/add.test.js > adds');
  });

  it('calls of one turn take effect in order, and a test sees the tree as it is at its call', async () => {
    const sandbox = await open();
    const answers = await Promise.all([
      runTool(sandbox, 'test', ''),
      runTool(sandbox, 'edit', '{"path":"src/add.js","line":2,"new":"  return a + b;"}'),
      runTool(sandbox, 'test', ''),
      runTool(sandbox, 'edit', '{"path":"src/add.js","line":2,"new":"  return a * b;"}'),
      runTool(sandbox, 'read', '{"path":"src/add.js"}'),
    ]);
    expect(answers.map((answer) => answer.content.split('\n')[0])).toEqual([
      'failed 1 of 2',
      '2   return a + b;',
      'ok 2',
      '2   return a * b;',
      'src/add.js',
    ]);
    expect(answers[4]?.content).toContain('2   return a * b;');
  });
});

describe('a call that cannot be done', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['read', '{"path": "src', 'error: the arguments are not JSON'],
    ['read', '[1]', 'error: the arguments are not an object'],
    ['read', '{}', 'error: path is missing'],
    ['read', '{"path":3}', 'error: path is not a string'],
    ['read', '{"path":"src/sub.js"}', 'error: no file "src/sub.js"'],
    ['read', '{"path":"../../etc/passwd"}', 'error: no file "../../etc/passwd"'],
    ['edit', '{"path":"src/add.js","new":""}', 'error: line is missing'],
    ['edit', '{"path":"src/add.js","line":"2","new":""}', 'error: line is not a whole number'],
    ['edit', '{"path":"src/add.js","line":4,"new":""}', 'error: line 4 is not in 1 to 3'],
    ['edit', '{"path":"src/add.js","line":2}', 'error: new is missing'],
    ['edit', '{"path":"src/new.js","line":1,"new":""}', 'error: no file "src/new.js"'],
    ['fly', '{}', 'error: no tool "fly"'],
    ['constructor', '{}', 'error: no tool "constructor"'],
  ];
  for (const [name, json, content] of cases) {
    it(`${name} ${json} is answered with '${content}' and changes nothing`, async () => {
      const sandbox = await open();
      expect(await runTool(sandbox, name, json)).toEqual({ content, error: true });
      expect(sandbox.diff()).toEqual({});
    });
  }

  it('of a tree that would become too large is an answer too', async () => {
    const text = 'x'.repeat(5_000_000);
    const answer = await runTool(await open(), 'edit', JSON.stringify({ path: 'src/add.js', line: 1, new: text }));
    expect(answer).toMatchObject({
      error: true,
      content: expect.stringMatching(/^error: cannot write 'src\/add\.js'/),
    });
  });
});

describe('what the model reads of a run', () => {
  const run = (tests: number, message: string): SuiteRun => ({
    completed: true,
    message: null,
    tests: Array.from({ length: tests }, (_, i) => ({ id: `test/deep/a.test.js > t${i}`, status: 'failed', message })),
  });

  it('is at most three bounded lines', () => {
    const lines = describeRun(run(9, 'y'.repeat(500))).split('\n');
    expect(lines).toHaveLength(3);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(160);
  });

  it('names a file without its folders and keeps titles with slashes', () => {
    const tests = [{ id: 'test/deep/a.test.js > one / two > three', status: 'failed' as const, message: 'm' }];
    expect(describeRun({ completed: true, message: null, tests })).toBe(
      'failed 1 of 1\na.test.js > one / two > three: m',
    );
  });
});

it('every tool that is offered can be called', async () => {
  const sandbox = await open();
  for (const tool of builtinTools) {
    const answer = await runTool(
      sandbox,
      tool.name,
      '{"path":"src/add.js","line":1,"new":"exports.add = (a, b) => {"}',
    );
    expect(answer.error).toBe(false);
  }
});
