/** What an upstream engine makes of its server's faults, limits and settings. Fakes of the servers, real sockets. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { policyVersion } from '../../src/core/ids.ts';
import { writeCheckpoint } from '../../src/engine/checkpoint.ts';
import { openUpstream, type UpstreamOptions } from '../../src/engine/engines/upstream.ts';
import { scoreIds } from '../../src/engine/score-ids.ts';
import { ask, collect, requestOf } from '../contract/engine-collect.ts';
import { livelyCheckpoint, tinyShape } from '../contract/engine-models.ts';
import type { FakeServer } from './fake-server.ts';
import { FakeSglang, type FakeSglangOptions } from './fake-sglang.ts';
import { FakeVllm, type FakeVllmOptions, letterIds } from './fake-vllm.ts';

let directory = '';
let model = '';
const opened: { close(): Promise<void> }[] = [];
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'espalier-upstream-'));
  model = join(directory, 'model');
  await writeCheckpoint(model, livelyCheckpoint());
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function started<S extends FakeServer>(server: S): Promise<S> {
  await server.listen();
  opened.push({ close: () => server.crash() });
  return server;
}
const vllm = (options: Partial<FakeVllmOptions> = {}) => started(new FakeVllm({ model, ...options }));
const sglang = (options: Partial<FakeSglangOptions> = {}) => started(new FakeSglang({ model, ...options }));

async function engineAt(server: FakeServer, options: Partial<UpstreamOptions> = {}) {
  const engine = await openUpstream({ url: server.url, vocabSize: tinyShape.vocabSize, ...options });
  opened.unshift(engine);
  return engine;
}
const range = (length: number) => Array.from({ length }, (_, i) => (i * 7) % tinyShape.vocabSize);
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((later) => setTimeout(later, 2));
};

const both = [
  ['vllm', vllm],
  ['sglang', sglang],
] as const;

describe.for(both)('%s', ([kind, start]) => {
  test('a server that is killed ends its requests with a fault, and serves again when it is back', async () => {
    const server = await start();
    const engine = await engineAt(server);
    const before = await ask(engine, range(9), { maxTokens: 4 });
    const running = engine.generate(requestOf(range(9), { maxTokens: 200 }))[Symbol.asyncIterator]();
    expect((await running.next()).value).toMatchObject({ type: 'tokens' });
    await server.crash();
    const { end } = await collect({ [Symbol.asyncIterator]: () => running });
    expect(end).toMatchObject({ reason: 'failed', message: expect.stringContaining(server.url) });
    expect(engine.alive).toBe(false);
    expect((await ask(engine, range(9))).end.reason).toBe('failed');
    await expect(engine.recover()).rejects.toMatchObject({ boundary: 'engine', message: /is not back/ });
    await server.listen();
    await engine.recover();
    expect(engine.alive).toBe(true);
    expect(await ask(engine, range(9), { maxTokens: 4 })).toEqual(before);
  });

  test('a stream that is dropped is a fault too, and what came before it is kept', async () => {
    const server = await start();
    const engine = await engineAt(server);
    server.dropAfter = 6;
    const { ids, end } = await ask(engine, range(9), { maxTokens: 100 });
    expect([end.reason, engine.alive]).toEqual(['failed', false]);
    expect(ids.length).toBeGreaterThanOrEqual(6);
    expect(ids.length).toBeLessThan(100);
  });

  test('a restarted server gets the present weights before it serves', async () => {
    const server = await start();
    const engine = await engineAt(server);
    const other = join(directory, `${kind}-other`);
    await writeCheckpoint(other, livelyCheckpoint({ ...tinyShape, qkNorm: true }, 5n));
    await engine.load(other, policyVersion(3));
    await server.crash();
    expect((await ask(engine, range(9))).end.reason).toBe('failed');
    await server.listen();
    await engine.recover();
    const { ids, logprobs, versions } = await ask(engine, range(9), { maxTokens: 5 });
    expect(versions).toEqual([3, 3, 3, 3, 3]);
    const scored = await scoreIds(other, Int32Array.from([...range(9), ...ids]));
    expect(logprobs).toEqual([...scored.subarray(8)]);
  });

  test('weights that came while a server was lost are taken when it is back', async () => {
    const server = await start();
    const engine = await engineAt(server);
    await server.crash();
    await ask(engine, range(9));
    await engine.load(model, policyVersion(2));
    await server.listen();
    await engine.recover();
    expect((await ask(engine, range(9), { maxTokens: 2 })).versions).toEqual([2, 2]);
  });

  test('a silent server that also fails its health check is given up; a busy one is not', async () => {
    const server = await start();
    const engine = await engineAt(server, { quietMs: 20 });
    server.silent = true;
    const { end } = await ask(engine, range(9), { maxTokens: 100 });
    expect(end).toMatchObject({ reason: 'failed', message: expect.stringContaining('silent') });
    expect(engine.alive).toBe(false);
  });

  test('a request that is refused fails alone, with the reason', async () => {
    const server = await start();
    const engine = await engineAt(server);
    const other = ask(engine, range(9), { maxTokens: 50 });
    const { end } = await ask(engine, [1, 2, 99_999]);
    expect(end).toMatchObject({ reason: 'failed', message: expect.stringMatching(/400: .*vocabulary/) });
    expect((await other).end.reason).toBe('length');
  });

  test('an aborted request, or one that nobody reads on, is ended on the server', async () => {
    const server = await start();
    const engine = await engineAt(server);
    const leaving = new AbortController();
    const aborted = ask(engine, range(9), { maxTokens: 200, signal: leaving.signal });
    for await (const _ of engine.generate(requestOf(range(9), { maxTokens: 200 }))) break;
    await until(() => server.running === 1);
    leaving.abort();
    await until(() => server.running === 0);
    expect((await aborted).end).toMatchObject({ reason: 'failed', message: 'aborted by the caller' });
    expect(engine.alive).toBe(true);
  });

  test('calls share their connections', async () => {
    const server = await start();
    const engine = await engineAt(server);
    for (let i = 0; i < 10; i++) await ask(engine, range(9), { maxTokens: 2 });
    // One may not be free yet when the next call begins.
    expect(server.connections).toBeLessThanOrEqual(2);
  });

  test('a server of another tokenizer is refused', async () => {
    const server = await start();
    await engineAt(server, { needs: { encoded: { text: 'abc', ids: letterIds('abc') } } });
    const other = engineAt(server, { needs: { encoded: { text: 'abc', ids: [1, 2, 3] } } });
    await expect(other).rejects.toMatchObject({ boundary: 'config', message: /another tokenizer/ });
  });
});

test('sglang: tokens of weights that someone else loaded are refused', async () => {
  const server = await sglang();
  const engine = await engineAt(server);
  const post = (path: string, body: object) =>
    fetch(`${server.url}${path}`, { method: 'POST', body: JSON.stringify(body) });
  await post('/pause_generation', { mode: 'abort' });
  await post('/update_weights_from_disk', { model_path: model, weight_version: 'theirs' });
  await post('/continue_generation', {});
  const { end, ids } = await ask(engine, range(9));
  expect([ids, end]).toEqual([[], { type: 'end', reason: 'failed', message: expect.stringMatching(/"theirs"/) }]);
});

test.for(both)('%s: requests that wait while a pause fails get an end', async ([, start]) => {
  const server = await start();
  const engine = await engineAt(server);
  await engine.pause();
  const waiting = ask(engine, range(9));
  await server.crash();
  await expect(engine.resume()).rejects.toMatchObject({ boundary: 'engine', message: /failed to resume/ });
  expect((await waiting).end).toMatchObject({ reason: 'failed', message: expect.stringContaining(server.url) });
});

describe('at the start', () => {
  const refused = async (opening: Promise<unknown>, message: RegExp) =>
    expect(opening).rejects.toMatchObject({ boundary: 'config', message });

  test('an address without an engine is one clear line', async () => {
    await refused(openUpstream({ url: 'ftp://x', vocabSize: 50 }), /write it as http:/);
    await refused(
      openUpstream({ url: 'http://127.0.0.1:9', vocabSize: 50 }),
      /cannot be used as an engine.*ECONNREFUSED/,
    );
  });

  test('a server that wants a key says so, and takes it', async () => {
    const server = await vllm({ key: 'secret' });
    await refused(engineAt(server), /ESPALIER_ENGINE_KEY/);
    const engine = await engineAt(server, { key: 'secret' });
    expect((await ask(engine, range(9))).end.reason).toBe('length');
  });

  test('new weights need a server that takes them', async () => {
    const server = await vllm({ devMode: false });
    await refused(engineAt(server, { needs: { newWeights: true } }), /VLLM_SERVER_DEV_MODE=1/);
    const engine = await engineAt(server);
    await refused(engine.load(model, policyVersion(1)), /VLLM_SERVER_DEV_MODE=1/);
    const running = ask(engine, range(9), { maxTokens: 200 });
    await new Promise((later) => setTimeout(later, 30));
    await engine.pause();
    expect((await running).end.reason).toBe('paused');
    await engine.resume();
    expect((await ask(engine, range(9))).end.reason).toBe('length');
  });

  test.for([
    ['vllm', () => vllm({ logprobsMode: 'processed_logprobs' }), /--logprobs-mode raw_logprobs/],
    ['sglang', () => sglang(), /SGLANG_RETURN_ORIGINAL_LOGPROB=1/],
  ] as const)('%s: log-probabilities of another temperature than 1 are refused', async ([, start, wayOut]) => {
    const server = await start();
    await refused(engineAt(server, { needs: { drawings: [{ temperature: 0.7 }] } }), wayOut);
    const engine = await engineAt(server, { needs: { drawings: [{ temperature: 1 }, { temperature: 0 }] } });
    expect((await ask(engine, range(9), { temperature: 0.7 })).end).toMatchObject({ message: wayOut });
  });

  test('log-probabilities of the tokens that filters leave are refused', async () => {
    const server = await vllm({ logprobsMode: 'processed_logprobs' });
    const drawing = { temperature: 1, truncation: { topK: 0, topP: 0.9, minP: 0 } };
    await refused(engineAt(server, { needs: { drawings: [drawing] } }), /top-p and min-p leave/);
    const engine = await engineAt(server, { needs: { drawings: [{ ...drawing, temperature: 0 }] } });
    expect((await ask(engine, range(9), drawing)).end).toMatchObject({
      message: expect.stringMatching(/raw_logprobs/),
    });
    expect((await ask(engine, range(9), { ...drawing, temperature: 0 })).end.reason).toBe('length');
  });

  test.for([
    ['vllm', () => vllm()],
    ['sglang', () => sglang({ originalLogprobs: true })],
  ] as const)('%s: plain log-probabilities serve every temperature', async ([, start]) => {
    const engine = await engineAt(await start(), { needs: { drawings: [{ temperature: 0.7 }] } });
    const { ids, logprobs } = await ask(engine, range(9), { temperature: 0.7 });
    const scored = await scoreIds(model, Int32Array.from([...range(9), ...ids]));
    expect(logprobs).toEqual([...scored.subarray(8)]);
  });
});
