/** Sessions for agents that someone else launched, over real sockets, with a scripted policy. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { policyVersion, type RolloutId } from '../../src/core/ids.ts';
import { AccessKey } from '../../src/proxy/access.ts';
import { createProxy, type ProxyServer } from '../../src/proxy/proxy.ts';
import { SessionsApi } from '../../src/proxy/sessions-api.ts';
import { Journal } from '../../src/trajectory/journal.ts';
import { clientOf, LetterSampler, removeDirectory, renderer, sessionOptions, startRig } from './proxy-fixture.ts';

const adminKey = 'an-admin-key-of-0123456789-abcdefghijk';
let directory = '';
let journal: Journal;
let proxy: ProxyServer;
let api: SessionsApi;
let seconds = 0;

beforeEach(async () => {
  const rig = await startRig(new LetterSampler(() => 'Done.'));
  directory = rig.directory;
  await rig.stop();
  await start();
});
afterEach(async () => {
  await stop();
  await removeDirectory(directory);
});

async function start(): Promise<void> {
  journal = await Journal.open(directory);
  api = new SessionsApi({
    adminKey: AccessKey.of(adminKey, 'the test'),
    open: (rollout, { temperature, maxTokensPerTurn, samplingBy }) =>
      proxy.sessions.open(rollout, {
        ...sessionOptions,
        temperature: temperature ?? 1,
        ...(samplingBy !== null && { samplingBy, trainable: samplingBy === 'session' }),
        maxTokensPerTurn: maxTokensPerTurn ?? 400,
      }),
    journal,
    clock: { now: () => seconds * 1000 },
    modelName: 'seedling',
    maxOpen: 3,
  });
  const sampler = new LetterSampler(() => 'Done.');
  proxy = await createProxy({ sampler, renderer: renderer(), journal, modelName: 'seedling', sessionsApi: api });
}

async function stop(): Promise<void> {
  await api.close();
  await proxy.close();
  await journal.close();
}

interface Answer {
  readonly status: number;
  readonly body: Record<string, string> & { readonly error?: { readonly code: string; readonly param: string | null } };
}

async function post(path: string, body?: unknown, key = adminKey, method = 'POST'): Promise<Answer> {
  const response = await fetch(`${proxy.url}/espalier/sessions${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

const ask = (opened: Answer) =>
  clientOf({ baseUrl: opened.body['baseUrl']!, apiKey: opened.body['apiKey']! }).chat.completions.create({
    model: 'seedling',
    messages: [{ role: 'user', content: 'Fix total.' }],
  });

describe('a session that someone else opens', () => {
  it('works by its address and key until it is finished, and then has its reward in the record', async () => {
    const opened = await post('', { task: 'totals/1', temperature: 0.5, maxTokensPerTurn: 50 });
    expect(opened).toMatchObject({ status: 201, body: { rollout: 'session/group/0/rollout/0', model: 'seedling' } });
    expect((await ask(opened)).choices[0]?.message.content).toBe('Done.');
    seconds += 2;
    const finished = await post(`/${opened.body['id']}/finish`, { reward: 0.5 });
    expect(finished).toMatchObject({
      status: 200,
      body: { reward: 0.5, outcome: { status: 'completed' }, facts: { turns: 1 } },
    });
    await expect(ask(opened)).rejects.toThrow(/404|401/);

    const rollout = opened.body['rollout'] as RolloutId;
    expect(journal.index.sessions.get(rollout)).toMatchObject({ temperature: 0.5, maxTokensPerTurn: 50 });
    expect(journal.index.outcomes.get(rollout)).toMatchObject({
      task: 'totals/1',
      reward: 0.5,
      seconds: 2,
      attempts: 1,
    });
    expect(journal.index.turns(rollout).map(({ versions }) => versions[0])).toEqual([policyVersion(0)]);
  });

  it('is cancelled without a reward', async () => {
    const opened = await post('');
    const cancelled = await post(`/${opened.body['id']}/cancel`);
    expect(cancelled).toMatchObject({ status: 200, body: { reward: null, outcome: { status: 'cancelled' } } });
    const record = journal.index.outcomes.get(opened.body['rollout'] as RolloutId);
    expect(record).toMatchObject({ outcome: { status: 'cancelled', why: 'by whoever launched the agent' } });
    expect(record).not.toHaveProperty('reward');
  });

  it('ends once: the same end again is answered again, another one refused', async () => {
    const { body } = await post('');
    const ends = await Promise.all([1, 2].map(() => post(`/${body['id']}/finish`, { reward: 1 })));
    expect(ends[0]).toEqual(ends[1]);
    expect(await post(`/${body['id']}/finish`, { reward: 0 })).toMatchObject({ status: 409 });
    expect(await post(`/${body['id']}/cancel`)).toMatchObject({
      status: 409,
      body: { error: { code: 'session_ended' } },
    });
    expect(journal.index.outcomes.size).toBe(1);
  });

  it('shares a group with the other attempts at the same task, and numbers go on after a restart', async () => {
    const rollouts = [];
    for (const group of ['a', 'b', 'a']) {
      const { body } = await post('', { group });
      rollouts.push(body['rollout']);
      await post(`/${body['id']}/finish`, { reward: 1 });
    }
    expect(rollouts).toEqual(['session/group/0/rollout/0', 'session/group/1/rollout/0', 'session/group/0/rollout/1']);
    await stop();
    await start();
    expect((await post('', { group: 'a' })).body['rollout']).toBe('session/group/2/rollout/0');
  });

  it('is cancelled when the server ends', async () => {
    const opened = await post('');
    await api.close();
    expect(journal.index.outcomes.get(opened.body['rollout'] as RolloutId)).toMatchObject({
      outcome: { status: 'cancelled', why: 'the server ended' },
    });
  });
});

describe('refused', () => {
  it('is everyone without the admin key, the agent itself too', async () => {
    const opened = await post('');
    for (const key of ['', 'x', opened.body['apiKey']!]) {
      expect((await post(`/${opened.body['id']}/finish`, { reward: 1 }, key)).status).toBe(401);
    }
    expect(journal.index.outcomes.size).toBe(0);
  });

  it('is what cannot be meant, with the name of the field', async () => {
    const opened = await post('');
    const finish = `/${opened.body['id']}/finish`;
    for (const reward of [undefined, null, '1', -0.1, 1.5]) {
      expect(await post(finish, { reward })).toMatchObject({ status: 400, body: { error: { param: 'reward' } } });
    }
    expect(await post('', { temprature: 1 })).toMatchObject({ status: 400, body: { error: { param: 'temprature' } } });
    expect(await post('', { temperature: 9 })).toMatchObject({
      status: 400,
      body: { error: { param: 'temperature' } },
    });
    expect((await post('/nobody/finish', { reward: 1 })).status).toBe(404);
    expect((await post('/a/b/c')).status).toBe(404);
    expect((await post('', undefined, adminKey, 'GET')).status).toBe(405);
  });

  it('are more open sessions than the limit', async () => {
    const opened = [await post(''), await post(''), await post('')];
    expect((await post('')).status).toBe(429);
    await post(`/${opened[0]?.body['id']}/cancel`);
    expect((await post('')).status).toBe(201);
  });
});
