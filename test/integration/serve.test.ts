/** `espalier serve` in a process of its own: a random model of a few thousand weights, the real engine, stock clients. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ended, espalier, type Started, startEspalier, writeTinyModel } from './run-fixture.ts';
import { baseUrlOf, interrupt, readyLineOf } from './serving-fixture.ts';

const patience = 300_000;
const key = 'fedcba9876543210fedcba9876543210';
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-serve-'));
  await writeTinyModel(join(folder, 'model'));
}, patience);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Three turns, each going on from the one before. */
async function talk(client: OpenAI, model: string, stream: boolean): Promise<number> {
  const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'Fix total.' }];
  let tokens = 0;
  for (const next of ['And now?', 'Go on.', '']) {
    const body = { model, messages, max_tokens: 12 };
    const reply = stream
      ? await client.chat.completions.stream({ ...body, stream_options: { include_usage: true } }).finalChatCompletion()
      : await client.chat.completions.create(body);
    tokens += reply.usage?.completion_tokens ?? 0;
    messages.push(reply.choices[0]!.message);
    for (const call of reply.choices[0]!.message.tool_calls ?? []) {
      messages.push({ role: 'tool', tool_call_id: call.id, content: 'done' });
    }
    messages.push({ role: 'user', content: next });
  }
  return tokens;
}

describe('a served checkpoint', () => {
  let server: Started;
  let line = '';
  let ended: Ended;
  let tokens = 0;

  beforeAll(async () => {
    server = startEspalier(folder, ['serve', 'model', '--threads', '1', '--model-map', 'gpt-0=refuse'], {
      ownGroup: true,
    });
    line = await readyLineOf(server);
  }, patience);

  it('answers whoever knows the address and the key, under any model name', { timeout: patience }, async () => {
    const [, baseURL, apiKey, adminKey] =
      /^listening: (http:\/\/127\.0\.0\.1:\d+\/v1) {2}key: (esp-[\w-]{43}) {2}admin: (esp-[\w-]{43})\n$/.exec(line) ??
      [];
    expect(baseURL).toBeDefined();
    const client = new OpenAI({ baseURL: baseURL!, apiKey: apiKey!, maxRetries: 0 });
    tokens += await talk(client, 'gpt-4o', false);
    tokens += await talk(client, 'policy', true);
    await expect(talk(client, 'gpt-0', false)).rejects.toThrow(/404 The model 'gpt-0' does not exist/);
    await expect(talk(new OpenAI({ baseURL: baseURL!, apiKey: key, maxRetries: 0 }), 'x', false)).rejects.toThrow(
      /401/,
    );

    // Someone else's agent: opened, worked, rewarded.
    const admin = (path: string, body: object) =>
      fetch(`${baseURL}/espalier/sessions${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${adminKey}` },
        body: JSON.stringify(body),
      }).then((response) => response.json() as Promise<Record<string, string>>);
    const opened = await admin('', { task: 'totals/1' });
    tokens += await talk(
      new OpenAI({ baseURL: opened['baseUrl']!, apiKey: opened['apiKey']! }),
      opened['model']!,
      false,
    );
    expect(await admin(`/${opened['id']}/finish`, { reward: 0.75 })).toMatchObject({
      facts: { turns: 3, exactTurns: 3 },
    });
  });

  it('ends with 0 at Ctrl-C, also while a reply is under way', { timeout: patience }, async () => {
    const [, baseURL, apiKey] = /listening: (\S+) {2}key: (\S+)/.exec(line) ?? [];
    const client = new OpenAI({ baseURL: baseURL!, apiKey: apiKey!, maxRetries: 0 });
    const stream = await client.chat.completions.create({
      model: 'policy',
      stream: true,
      messages: [{ role: 'user', content: 'Say much.' }],
    });
    const drained = (async () => {
      for await (const _ of stream);
    })().catch(() => undefined);
    ended = await interrupt(server);
    await drained;
    expect(ended).toMatchObject({ code: 0, signal: null });
    expect(ended.stderr).not.toContain('esp-');
  });

  it('has recorded every turn exactly', { timeout: patience }, async () => {
    const all = JSON.parse((await espalier(folder, 'inspect', 'runs/serve', '--json')).stdout);
    expect(all).toMatchObject({
      observed: 0,
      text: 0,
      sessions: 2,
      retokenizedSampledTokens: 0,
      outcomes: { completed: 2 },
    });
    // The reply that Ctrl-C cut is a turn when it had ended by itself before.
    expect(all.turns - 9).toBeOneOf([0, 1]);
    expect(all.exact).toBe(all.turns);
    expect(all.tokens).toBeGreaterThanOrEqual(tokens);
    const rollout = 'session/group/0/rollout/0';
    const one = JSON.parse((await espalier(folder, 'inspect', 'runs/serve', '--rollout', rollout, '--json')).stdout);
    expect(one).toMatchObject({ rollout, reward: 0.75, outcome: { status: 'completed' } });
  });

  it('has stored no key', async () => {
    const keys = [...line.matchAll(/esp-\S+/g)].map(([found]) => found);
    const run = join(folder, 'runs/serve');
    for (const name of ['config.json', ...(await readdir(join(run, 'store'))).map((each) => `store/${each}`)]) {
      const bytes = await readFile(join(run, name));
      for (const each of keys) expect(bytes.includes(each)).toBe(false);
    }
  });

  it('goes on in the same directory with a session of its own, for a key that the user chose', {
    timeout: patience,
  }, async () => {
    const again = startEspalier(folder, ['serve', 'model', '--threads', '1', '--run', 'runs/serve', '--key', key], {
      ownGroup: true,
    });
    const baseURL = await baseUrlOf(again);
    expect(again.stdout()).not.toContain(key);
    await talk(new OpenAI({ baseURL, apiKey: key, maxRetries: 0 }), 'm', false);
    expect(await interrupt(again)).toMatchObject({ code: 0 });
    const all = JSON.parse((await espalier(folder, 'inspect', 'runs/serve', '--json')).stdout);
    expect(all).toMatchObject({ sessions: 3, exact: all.turns });
  });
});

describe('serve and proxy say in one line what is wrong, and fail', () => {
  const serve = ['serve', 'model'];
  const proxy = ['proxy', '--upstream', 'http://127.0.0.1:9/v1'];
  const cases: readonly (readonly [what: string, args: readonly string[], says: RegExp])[] = [
    [
      'a short key',
      [...serve, '--key', 'letmein'],
      /^espalier: --key: a key needs at least 128 random bits.*at most 36/,
    ],
    ['a public address', [...serve, '--host', '0.0.0.0'], /--host 0.0.0.0 can be reached from .*: give it a --key/],
    ['no upstream', ['proxy', '--upstream', 'localhost'], /--upstream localhost: give an address such as http/],
    [
      'a directory of the other kind',
      [...proxy, '--run', 'runs/serve'],
      /holds what espalier serve recorded: name anoth/,
    ],
  ];

  beforeAll(async () => {
    await mkdir(join(folder, 'runs/serve'), { recursive: true });
    await writeFile(join(folder, 'runs/serve/config.json'), '{ "formatVersion": 1, "kind": "serve" }\n');
  });

  it.each(cases)('%s', { timeout: patience }, async (_, args, says) => {
    const ended = await espalier(folder, ...args);
    expect(ended.stderr).toMatch(says);
    expect(ended.stderr).toMatch(/^espalier: [^\n]+\n$/);
    expect(ended).toMatchObject({ code: 1, signal: null, stdout: '' });
  });
});
