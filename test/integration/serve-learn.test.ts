/** `espalier serve --learn`: agents that know nothing of training, rewards from outside, weights that change meanwhile. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { espalier, type Started, startEspalier, writeTinyModel } from './run-fixture.ts';
import { baseUrlOf, interrupt } from './serving-fixture.ts';

const patience = 300_000;
const adminKey = 'fedcba9876543210fedcba9876543210';
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-learn-'));
  await writeTinyModel(join(folder, 'model'));
}, patience);
afterAll(() => rm(folder, { recursive: true, force: true }));

const start = (...more: string[]): Started =>
  startEspalier(
    folder,
    [
      ...['serve', 'model', '--run', 'run', '--learn', '--group-size', '4', '--groups-per-step', '2'],
      ...['--learning-rate', '0.01', '--threads', '1', '--admin-key', adminKey, ...more],
    ],
    { ownGroup: true },
  );

async function post(url: string, body: unknown, key = adminKey) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, string> };
}

/** A group of agents that each ask once; the longer the reply, up to `enough`, the better. Gives the mean reward. */
async function group(url: string, name: string, enough = 40): Promise<number> {
  const rewards = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const { body: session } = await post(`${url}/espalier/sessions`, { group: name });
      const reply = await fetch(`${session['baseUrl']}/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${session['apiKey']}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'any', messages: [{ role: 'user', content: 'Speak.' }], max_tokens: 8 }),
      });
      const { choices } = (await reply.json()) as { choices: { message: { content: string | null } }[] };
      const reward = Math.min(1, (choices[0]?.message.content ?? '').length / enough);
      await post(`${url}/espalier/sessions/${session['id']}/finish`, { reward });
      return reward;
    }),
  );
  return rewards.reduce((sum, reward) => sum + reward, 0) / rewards.length;
}

it('learns from rewards while it serves, keeps what it learned, and goes on after a restart', {
  timeout: patience,
}, async () => {
  const server = start();
  const url = await baseUrlOf(server);
  const means: number[] = [];
  for (let at = 0; at < 100; at++) means.push(await group(url, `g${at}`));
  expect((await post(`${url}/espalier/sessions`, { temperature: 0.5 })).status).toBe(400);
  const ended = await interrupt(server);
  expect(ended.code).toBe(0);
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  expect(mean(means.slice(-8))).toBeGreaterThan(mean(means.slice(0, 8)) + 0.1);

  const steps = [...ended.stderr.matchAll(/^version (\d+): reward .* gap (\S+)$/gm)];
  expect(steps.length).toBeGreaterThan(10);
  const last = Number(steps.at(-1)?.[1]);
  expect(last).toBe(steps.length);
  // Tokens of the version that a step updates: none where all were sampled before it.
  for (const [, , gap] of steps) expect(['0', '–']).toContain(gap);
  const kept = (await readdir(join(folder, 'run', 'checkpoints'))).map(Number);
  expect(kept.toSorted((a, b) => a - b)).toEqual([last - 1, last]);
  const facts = JSON.parse((await espalier(folder, 'inspect', 'run', '--json')).stdout) as Record<string, number>;
  expect(facts).toMatchObject({ turns: 400, exact: 400, retokenizedSampledTokens: 0 });

  const again = start();
  const next = await baseUrlOf(again);
  expect(await group(next, 'h0')).toBeGreaterThan(mean(means.slice(0, 8)));
  // What was learned is enough for 40: ask for more, lest all rewards be equal.
  for (const name of ['h1', 'h2', 'h3', 'h4']) await group(next, name, 400);
  const more = await interrupt(again);
  expect(more.stderr).toMatch(new RegExp(`^version ${last + 1}: `, 'm'));
  expect(existsSync(join(folder, 'run', 'checkpoints', String(last + 1)))).toBe(true);
});

it.each([
  ['--temperature', '0.5'],
  ['--top-p', '0.9'],
  ['--sampling', 'request'],
])('does not learn with %s %s', { timeout: patience }, async (option, value) => {
  const { stderr, code } = await start(option, value).ended;
  expect(code).toBe(1);
  expect(stderr).toMatch(/^espalier: --.*: learning samples at temperature 1 and from every token/);
  expect(stderr).toContain(option);
});
