/** `espalier serve --engine-url`: a process that samples on a fake of vLLM's server, real sockets, a stock client. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { scoreIds } from '../../src/engine/score-ids.ts';
import { loadTokenizer } from '../../src/tokens/load.ts';
import { Journal } from '../../src/trajectory/journal.ts';
import { turnsOf } from '../../src/trajectory/turns.ts';
import { FakeVllm } from '../upstreams/fake-vllm.ts';
import { espalier, startEspalier, writeTinyModel } from './run-fixture.ts';
import { baseUrlOf, interrupt } from './serving-fixture.ts';

const patience = 300_000;
const key = 'fedcba9876543210fedcba9876543210';
let folder = '';
let server: FakeVllm;
/** Its log-probabilities are those of what it draws from. */
let processed: FakeVllm;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-upstream-'));
  const model = join(folder, 'model');
  await writeTinyModel(model);
  const tokenizer = await loadTokenizer(model);
  const encode = (text: string) => [...tokenizer.encode(text)];
  server = new FakeVllm({ model, encode });
  processed = new FakeVllm({ model, encode, logprobsMode: 'processed_logprobs' });
  await Promise.all([server.listen(), processed.listen()]);
}, patience);
afterAll(async () => {
  await Promise.all([server.crash(), processed.crash()]);
  await rm(folder, { recursive: true, force: true });
});

it('serves a turn whose engine is killed in the middle, as one exact turn of the record', {
  timeout: patience,
}, async () => {
  const served = startEspalier(folder, ['serve', 'model', '--engine-url', server.url, '--key', key], {
    ownGroup: true,
  });
  const client = new OpenAI({ baseURL: await baseUrlOf(served), apiKey: key, maxRetries: 0 });
  const body = { model: 'any', messages: [{ role: 'user' as const, content: 'Fix total.' }], max_tokens: 300 };
  const completing = client.chat.completions.create(body);
  completing.catch(() => undefined);
  while (server.running === 0) await new Promise((later) => setTimeout(later, 2));
  await new Promise((later) => setTimeout(later, 100));
  await server.crash();
  await server.listen();
  const reply = await completing;
  const { code, stderr } = await interrupt(served);
  expect([code, stderr]).toEqual([0, expect.stringMatching(/on http:.*lost http:.* is back/s)]);

  const journal = await Journal.open(join(folder, 'runs', 'serve'));
  const rollout = [...journal.index.sessions.keys()][0];
  const [turn, ...others] = turnsOf(journal.index.turns(rollout as NonNullable<typeof rollout>));
  await journal.close();
  expect(others).toEqual([]);
  expect(turn).toMatchObject({ fidelity: 'exact', retokenizedSampledTokens: 0 });
  expect(turn?.completion.length).toBe(reply.usage?.completion_tokens);
  expect([...(turn?.entropies ?? [0])].every(Number.isNaN)).toBe(true);
  const ids = Int32Array.from([...(turn?.prompt ?? []), ...(turn?.completion ?? [])]);
  const scored = await scoreIds(join(folder, 'model'), ids);
  expect([...(turn?.behaviorLogprobs ?? [])]).toEqual([...scored.subarray((turn?.prompt.length ?? 0) - 1)]);
  const sent = server.calls
    .filter(({ body }) => body['stream'] === true)
    .map(({ body }) => body['prompt']) as number[][];
  expect(sent.length).toBe(2);
  expect(sent[1]).toEqual([...ids.subarray(0, sent[1]?.length)]);
  const config = JSON.parse(await readFile(join(folder, 'runs', 'serve', 'config.json'), 'utf8')) as object;
  expect(config).toMatchObject({ kind: 'serve', sha256: null });
});

it.each([
  [['--learn'], /--learn with --engine-url: only our own engine trains/],
  [['--engine-kind', 'sglang'], /cannot be used as an engine/],
])('refuses %j in one line', { timeout: patience }, async (more, message) => {
  const { code, stderr } = await espalier(folder, 'serve', 'model', '--engine-url', server.url, ...more);
  expect([code, stderr.trim().split('\n').length]).toEqual([1, 1]);
  expect(stderr).toMatch(message);
});

it.each([
  [['--top-p', '0.9'], /of the tokens that top-k, top-p and min-p leave/],
  [['--sampling', 'request'], /of temperature 2 and not of 1/],
])('refuses %j on a server that cannot record it', { timeout: patience }, async (more, message) => {
  const { code, stderr } = await espalier(folder, 'serve', 'model', '--engine-url', processed.url, ...more);
  expect([code, stderr.trim().split('\n').length]).toEqual([1, 1]);
  expect(stderr).toMatch(message);
});
