import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { EspalierError } from '../../core/errors.ts';
import type { Outcome } from '../../core/outcome.ts';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import { wasmLimits, wasmSandboxes } from '../../sandbox/sandboxes/wasm.ts';
import { builtinTools, systemPrompt } from '../tools.ts';
import { builtinHarness } from './builtin.ts';

interface ScriptedTurn {
  readonly content?: string | null;
  readonly calls?: readonly (readonly [name: string, args: string])[];
  readonly finish?: string;
  readonly status?: number;
  readonly code?: string;
  readonly hang?: boolean;
  readonly cut?: boolean;
}
interface Body {
  readonly messages: readonly { readonly role: string; readonly content: unknown }[];
  readonly tools: readonly unknown[];
  readonly stream?: boolean;
}

const sandboxes = wasmSandboxes({ threads: 1 });
const servers: { close(): unknown; closeAllConnections(): void }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});
afterAll(() => sandboxes.close());

/** A provider that answers request i with turn i, over real sockets. */
async function provider(turns: readonly ScriptedTurn[]): Promise<{ baseUrl: string; bodies: Body[] }> {
  const bodies: Body[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const turn = turns[bodies.length] ?? { content: 'nothing left' };
    const index = bodies.length;
    const body = JSON.parse(text) as Body;
    bodies.push(body);
    if (turn.hang === true) return;
    if (turn.status !== undefined) {
      response.writeHead(turn.status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: { message: 'as scripted', code: turn.code ?? null } }));
      return;
    }
    const calls = (turn.calls ?? []).map(([name, args], i) => ({
      id: `call-${index}-${i}`,
      type: 'function',
      function: { name, arguments: args },
    }));
    const finish = turn.finish ?? (calls.length > 0 ? 'tool_calls' : 'stop');
    const message = {
      role: 'assistant',
      content: turn.content ?? null,
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
    };
    if (body.stream !== true) {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({ id: 'x', object: 'chat.completion', choices: [{ index: 0, message, finish_reason: finish }] }),
      );
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const send = (delta: object, reason: string | null = null): unknown =>
      response.write(`data: ${JSON.stringify({ id: 'x', choices: [{ index: 0, delta, finish_reason: reason }] })}\n\n`);
    send({ role: 'assistant', content: message.content });
    for (const [i, call] of calls.entries()) {
      const { name, arguments: args } = call.function;
      send({
        tool_calls: [{ index: i, id: call.id, type: 'function', function: { name, arguments: args.slice(0, 3) } }],
      });
      send({ tool_calls: [{ index: i, function: { arguments: args.slice(3) } }] });
    }
    if (turn.cut === true) {
      response.end();
      return;
    }
    send({}, finish);
    response.end('data: [DONE]\n\n');
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/s/one/v1`, bodies };
}

const source = 'exports.add = (a, b) => {\n  return a - b;\n};\n';
const files = {
  'src/add.js': source,
  'test/add.test.js':
    "const assert = require('node:assert');\nrequire('node:test')('adds', () => assert.equal(require('../src/add.js').add(2, 3), 5));\n",
};
const repair: readonly ScriptedTurn[] = [
  {
    calls: [
      ['read', '{"path":"src/add.js"}'],
      ['test', '{}'],
    ],
  },
  {
    calls: [
      ['edit', '{"path":"src/add.js","line":2,"new":"  return a + b;"}'],
      ['test', '{}'],
    ],
  },
  { calls: [['finish', '{}']] },
];

interface Options {
  readonly stream?: boolean;
  readonly maxTurns?: number;
  readonly timeMs?: number;
  readonly signal?: AbortSignal;
  readonly sandbox?: Sandbox;
  readonly baseUrl?: string;
}
async function work(turns: readonly ScriptedTurn[], options: Options = {}) {
  const { baseUrl, bodies } = await provider(turns);
  const sandbox = options.sandbox ?? (await sandboxes.start(files, wasmLimits));
  const outcome: Outcome = await builtinHarness({ stream: options.stream ?? false }).run({
    baseUrl: options.baseUrl ?? baseUrl,
    apiKey: 'key',
    model: 'policy',
    task: { statement: 'add(a, b): sum of a and b' },
    sandbox,
    limits: { maxTurns: options.maxTurns ?? 10, timeMs: options.timeMs ?? 50_000 },
    signal: options.signal ?? new AbortController().signal,
  });
  return { outcome, bodies, sandbox };
}

describe('the built-in agent', () => {
  for (const stream of [false, true]) {
    it(`works on a repository through ${stream ? 'an event stream' : 'plain completions'}`, async () => {
      const { outcome, bodies, sandbox } = await work(repair, { stream });
      expect(outcome).toEqual({ status: 'completed' });
      expect(sandbox.read('src/add.js')).toBe(source.replace('-', '+'));
      expect(bodies).toHaveLength(3);
      expect(bodies[0]?.messages).toEqual([
        { role: 'system', content: systemPrompt },
        { role: 'user', content: 'add(a, b): sum of a and b' },
      ]);
      expect(bodies[0]?.tools).toHaveLength(builtinTools.length);
      expect(bodies[2]?.messages.slice(2).map((message) => message.content)).toEqual([
        null,
        'src/add.js\n1 exports.add = (a, b) => {\n2   return a - b;\n3 };',
        'failed 1 of 1\nadd.test.js > adds: expected 5, got -1',
        null,
        '2   return a + b;',
        'ok 1',
      ]);
    });
  }

  it('only ever appends to the conversation', async () => {
    const { bodies } = await work(repair);
    for (const [index, body] of bodies.entries()) {
      const next = bodies[index + 1];
      if (next !== undefined) expect(next.messages.slice(0, body.messages.length)).toEqual(body.messages);
    }
  });

  it('echoes broken arguments as they came and answers with an error', async () => {
    const { bodies, outcome } = await work([{ calls: [['edit', '{"path": "src/ad']] }, { content: 'I stop' }]);
    expect(outcome).toEqual({ status: 'completed' });
    expect(JSON.stringify(bodies[1]?.messages[2])).toContain(JSON.stringify('{"path": "src/ad'));
    expect(bodies[1]?.messages[3]?.content).toBe('error: the arguments are not JSON');
  });

  it('ends at its turn limit, with the last calls done', async () => {
    const { outcome, bodies, sandbox } = await work(repair, { maxTurns: 2 });
    expect(outcome).toEqual({ status: 'truncated', by: 'turns' });
    expect(bodies).toHaveLength(2);
    expect(sandbox.read('src/add.js')).toContain('a + b');
  });
});

describe('how it ends otherwise', () => {
  const cases: readonly (readonly [string, readonly ScriptedTurn[], Options, object])[] = [
    [
      'a turn cut by the token limit',
      [{ content: 'well', finish: 'length' }],
      {},
      { status: 'truncated', by: 'tokens' },
    ],
    ['a full context', [{ status: 400, code: 'context_length_exceeded' }], {}, { status: 'truncated', by: 'context' }],
    ['a server error', [{ status: 500 }], {}, { status: 'failed', boundary: 'provider' }],
    ['a refused key', [{ status: 401 }], {}, { status: 'failed', boundary: 'provider' }],
    [
      'a stream without an end',
      [{ calls: [['test', '{}']], cut: true }],
      { stream: true },
      { status: 'failed', boundary: 'provider' },
    ],
    ['a silent server', [{ hang: true }], { timeMs: 300 }, { status: 'truncated', by: 'time' }],
    ['no server', [], { baseUrl: 'http://127.0.0.1:9/v1' }, { status: 'failed', boundary: 'provider' }],
  ];
  for (const [name, turns, options, wanted] of cases) {
    it(`${name} is ${JSON.stringify(wanted)}, after one request`, async () => {
      const { outcome, bodies } = await work(turns, options);
      expect(outcome).toMatchObject(wanted);
      expect(bodies.length).toBeLessThanOrEqual(1);
    });
  }

  it('a cancelled job is cancelled, with the reason', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('the run stops')), 50);
    const { outcome } = await work([{ hang: true }], { signal: controller.signal });
    expect(outcome).toEqual({ status: 'cancelled', why: 'the run stops' });
  });

  it('a failing sandbox is the sandbox’s failure', async () => {
    const sandbox = await sandboxes.start(files, wasmLimits);
    const broken: Sandbox = {
      list: () => sandbox.list(),
      read: (path) => sandbox.read(path),
      write: (path, text) => sandbox.write(path, text),
      diff: () => sandbox.diff(),
      runTests: () => Promise.reject(new EspalierError('sandbox', 'a sandbox thread ended: exit code 1')),
      close: () => sandbox.close(),
    };
    const { outcome } = await work(repair, { sandbox: broken });
    expect(outcome).toEqual({
      status: 'failed',
      boundary: 'sandbox',
      message: 'a sandbox thread ended: exit code 1',
    });
  });
});
