/** Several servers as one engine: where requests go, and what becomes of those of a server that is lost. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { policyVersion } from '../../src/core/ids.ts';
import { writeCheckpoint } from '../../src/engine/checkpoint.ts';
import { openUpstream } from '../../src/engine/engines/upstream.ts';
import { Replicas, type ReplicasOptions } from '../../src/engine/replicas.ts';
import { scoreIds } from '../../src/engine/score-ids.ts';
import { sampleCompletion } from '../../src/proxy/sampling.ts';
import { collect, requestOf } from '../contract/engine-collect.ts';
import { livelyCheckpoint, tinyShape } from '../contract/engine-models.ts';
import type { FakeServer } from './fake-server.ts';
import { FakeSglang } from './fake-sglang.ts';
import { FakeVllm } from './fake-vllm.ts';

let directory = '';
let model = '';
const opened: { close(): Promise<void> }[] = [];
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'espalier-replicas-'));
  model = join(directory, 'model');
  await writeCheckpoint(model, livelyCheckpoint());
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function over(servers: readonly FakeServer[], options: ReplicasOptions = {}): Promise<Replicas> {
  await Promise.all(servers.map((server) => server.listen()));
  const { vocabSize } = tinyShape;
  const engine = new Replicas(await Promise.all(servers.map(({ url }) => openUpstream({ url, vocabSize }))), {
    retryMs: 20,
    ...options,
  });
  opened.push(engine, ...servers.map((server) => ({ close: () => server.crash() })));
  return engine;
}
const vllm = () => new FakeVllm({ model });
const prompt = Array.from({ length: 20 }, (_, i) => (i * 7) % tinyShape.vocabSize);
/** Goes on after a pause, as the proxy does. */
async function ask(engine: Replicas, affinity: string, maxTokens = 1) {
  const request = { ...requestOf(prompt, { maxTokens, signal: new AbortController().signal }), affinity };
  const first = await collect(engine.generate(request));
  return first.end.reason === 'paused' ? collect(engine.generate(request)) : first;
}
const streams = ({ calls }: FakeServer) => calls.filter(({ body }) => body['stream'] === true).length;
const sessions = Array.from({ length: 24 }, (_, i) => `session/${i}`);
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((later) => setTimeout(later, 2));
};

/** A turn as the proxy samples it; resolves `begun` with its first tokens. */
function turn(engine: Replicas, maxTokens: number) {
  const begun = Promise.withResolvers<void>();
  const completing = sampleCompletion(engine, {
    ...{ prompt: Int32Array.from(prompt), maxTokens, temperature: 1, stopIds: [], seed: 3n, affinity: 'session/7' },
    signal: new AbortController().signal,
    onTokens: () => {
      begun.resolve();
      return null;
    },
  });
  return { begun: begun.promise, completing };
}

test('a session stays on its server; a lost server loses its own sessions only, and gets them back', async () => {
  const servers = [vllm(), vllm(), vllm()];
  const engine = await over(servers);
  const homes = async () => {
    const home: number[] = [];
    for (const session of sessions) {
      const before = servers.map(streams);
      expect((await ask(engine, session)).end.reason).toBe('length');
      home.push(servers.findIndex((server, i) => streams(server) > (before[i] as number)));
    }
    return home;
  };
  const first = await homes();
  expect(await homes()).toEqual(first);
  expect(new Set(first).size).toBe(3);
  await servers[1]?.crash();
  const without = await homes();
  expect(without).not.toContain(1);
  expect(without.filter((_, i) => first[i] !== 1)).toEqual(first.filter((home) => home !== 1));
  await servers[1]?.listen();
  await until(() => streams(servers[1] as FakeServer) > 0 && engine.lostCount === 0);
  expect(await homes()).toEqual(first);
});

test('one session that asks for much at once does not wait behind itself', async () => {
  const servers = [vllm(), vllm()];
  const engine = await over(servers);
  await Promise.all(Array.from({ length: 20 }, () => ask(engine, 'one', 20)));
  for (const server of servers) expect(streams(server)).toBeGreaterThan(4);
});

test('a turn whose server is killed is continued on another one, from the ids that it has', async () => {
  const told: string[] = [];
  const servers = [vllm(), new FakeSglang({ model })];
  const engine = await over(servers, { tell: (line) => told.push(line) });
  const { begun, completing } = turn(engine, 150);
  await begun;
  const [home, other] = streams(servers[0] as FakeServer) > 0 ? servers : [...servers].reverse();
  await home?.crash();
  const { ids, logprobs } = await completing;
  const resumed = other?.calls.find(({ body }) => body['stream'] === true)?.body;
  const given = (resumed?.['prompt'] ?? resumed?.['input_ids']) as readonly number[];
  expect(given.length).toBeGreaterThan(prompt.length);
  expect(given.slice(prompt.length)).toEqual([...ids.subarray(0, given.length - prompt.length)]);
  const scored = await scoreIds(model, Int32Array.from([...prompt, ...ids]));
  expect([ids.length, [...logprobs]]).toEqual([150, [...scored.subarray(prompt.length - 1)]]);
  expect(told).toEqual([expect.stringMatching(new RegExp(`^lost ${home?.url}`))]);
});

test('with one server only, a turn waits until it is back', async () => {
  const server = vllm();
  const engine = await over([server]);
  const { begun, completing } = turn(engine, 150);
  await begun;
  await server.crash();
  await new Promise((later) => setTimeout(later, 50));
  await server.listen();
  expect((await completing).ids.length).toBe(150);
});

test('a turn that loses one server after the other fails, and none coming back is a failure too', async () => {
  const server = vllm();
  const engine = await over([server], { patienceMs: 2000 });
  server.dropAlways = 1;
  const { completing } = turn(engine, 200);
  await expect(completing).rejects.toMatchObject({ boundary: 'provider', message: /the connection broke/ });
  expect(streams(server)).toBe(3);
  await server.crash();
  expect((await ask(engine, 'any')).end).toMatchObject({ reason: 'failed', message: /none of .* is back/ });
});

test('new weights reach every server, and one that was lost before it serves again', async () => {
  const servers = [vllm(), vllm()];
  const engine = await over(servers);
  const other = join(directory, 'other');
  await writeCheckpoint(other, livelyCheckpoint(tinyShape, 5n));
  await servers[0]?.crash();
  await engine.load(other, policyVersion(1));
  await servers[0]?.listen();
  await until(() => engine.lostCount === 0);
  const all = await Promise.all(sessions.map((session) => ask(engine, session, 4)));
  for (const server of servers) expect(streams(server)).toBeGreaterThan(0);
  for (const { ids, logprobs, versions } of all) {
    const scored = await scoreIds(other, Int32Array.from([...prompt, ...ids]));
    expect([versions, logprobs]).toEqual([[1, 1, 1, 1], [...scored.subarray(prompt.length - 1)]]);
  }
});
