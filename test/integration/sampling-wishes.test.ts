/** What agents ask of sampling, in every dialect: recorded under a session's rule, honored where it is left to them. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { groupId, rolloutId } from '../../src/core/ids.ts';
import { LetterSampler, type Rig, removeDirectory, sessionOptions, startRig } from './proxy-fixture.ts';

const rollout = rolloutId(groupId('step/0', 0), 0);
const messages = [{ role: 'user', content: 'Count.' }];
const wishes = { temperature: 0.6, top_p: 0.95 };
const chat = { path: '/chat/completions', body: { model: 'seedling', messages } };
const dialects = [
  chat,
  { path: '/responses', body: { model: 'seedling', input: 'Count.' } },
  { path: '/messages', body: { model: 'seedling', messages, max_tokens: 50 } },
];
const byRequest = { ...sessionOptions, trainable: false, samplingBy: 'request' } as const;

let rig: Rig;
let sampler: LetterSampler;
beforeEach(async () => {
  sampler = new LetterSampler(() => 'One.');
  rig = await startRig(sampler);
});
afterEach(async () => {
  await rig.stop();
  await removeDirectory(rig.directory);
});

async function post(session: { baseUrl: string; apiKey: string }, path: string, body: object): Promise<Response> {
  return fetch(`${session.baseUrl}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${session.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

it.each(dialects)('$path: the session owns sampling, and the wish is in the record', async ({ path, body }) => {
  const session = await rig.proxy.sessions.open(rollout, sessionOptions);
  expect((await post(session, path, { ...body, ...wishes })).status).toBe(200);
  expect(sampler.requests[0]?.sampling).toEqual({
    temperature: 1,
    stopIds: expect.anything(),
    maxTokens: expect.anything(),
  });
  const [turn] = rig.journal.index.turns(rollout);
  expect(turn?.wishes).toMatchObject(wishes);
  expect(turn).not.toHaveProperty('sampling');
});

it.each(dialects)('$path: a session that leaves sampling to requests honors them', async ({ path, body }) => {
  const session = await rig.proxy.sessions.open(rollout, byRequest);
  expect((await post(session, path, { ...body, ...wishes })).status).toBe(200);
  const truncation = { topK: 0, topP: 0.95, minP: 0 };
  expect(sampler.requests[0]?.sampling).toMatchObject({ temperature: 0.6, truncation });
  expect(rig.journal.index.turns(rollout)[0]?.sampling).toEqual({ temperature: 0.6, ...truncation, seed: null });
  expect(rig.journal.index.sessions.get(rollout)).toMatchObject({ samplingBy: 'request', trainable: false });
});

it("what a request leaves out is the session's, and a seed of its own draws alike every time", async () => {
  const truncation = { topK: 20, topP: 0.9, minP: 0 };
  const session = await rig.proxy.sessions.open(rollout, { ...byRequest, temperature: 0.7, truncation });
  const ask = async (given: object) => {
    expect((await post(session, chat.path, { ...chat.body, ...given })).status).toBe(200);
    return sampler.requests.at(-1);
  };
  expect((await ask({ min_p: 0.1, top_k: -1 }))?.sampling).toMatchObject({
    temperature: 0.7,
    truncation: { topK: 0, topP: 0.9, minP: 0.1 },
  });
  const seeds = [await ask({ seed: 5 }), await ask({ seed: 5 }), await ask({ seed: 6 }), await ask({})].map(
    (it) => it?.seed,
  );
  expect(seeds[0]).toBe(seeds[1]);
  expect(new Set(seeds).size).toBe(3);
});

it('the same messages sampled otherwise are another turn, not a retry', async () => {
  const session = await rig.proxy.sessions.open(rollout, byRequest);
  const retry = {
    method: 'POST',
    headers: { authorization: `Bearer ${session.apiKey}`, 'x-stainless-retry-count': '1' },
  };
  for (const temperature of [0.2, 0.4, 0.4]) {
    const body = JSON.stringify({ ...chat.body, temperature });
    expect((await fetch(`${session.baseUrl}${chat.path}`, { ...retry, body })).status).toBe(200);
  }
  expect(rig.journal.index.turns(rollout).map((turn) => turn.sampling?.temperature)).toEqual([0.2, 0.4]);
});

it.each([
  ['temperature', 3, 'from 0 to 2'],
  ['top_p', 0, 'above 0'],
  ['top_k', 1.5, 'whole number'],
  ['min_p', -1, 'from 0'],
  ['top_p', 'much', 'a number'],
])('%s %s that would be honored is answered with 400 and its name', async (name, value, message) => {
  const session = await rig.proxy.sessions.open(rollout, byRequest);
  const response = await post(session, chat.path, { ...chat.body, [name]: value });
  expect(response.status).toBe(400);
  const { error } = (await response.json()) as { error: { param: string; message: string } };
  expect(error.param).toBe(name);
  expect(error.message).toContain(message);
  expect(sampler.requests).toEqual([]);
});

it('a trainable session samples from every token, by its own rule', async () => {
  const topP = { ...sessionOptions, truncation: { topK: 0, topP: 0.9, minP: 0 } };
  await expect(rig.proxy.sessions.open(rollout, topP)).rejects.toMatchObject({
    boundary: 'config',
    message: /truncates sampling .* cannot be trained on/,
  });
  const request = { ...sessionOptions, samplingBy: 'request' } as const;
  await expect(rig.proxy.sessions.open(rollout, request)).rejects.toThrow(/samples as requests ask/);
  const session = await rig.proxy.sessions.open(rollout, { ...topP, trainable: false });
  await post(session, chat.path, chat.body);
  expect(rig.journal.index.sessions.get(rollout)).toMatchObject({ truncation: topP.truncation });
});
