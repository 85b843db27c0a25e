/** Several names in one agent's session: the policy, trained and not, a frozen model elsewhere, and none. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { besideId, groupId, rolloutId } from '../../src/core/ids.ts';
import { ModelMap } from '../../src/proxy/model-map.ts';
import type { OpenSession } from '../../src/proxy/sessions.ts';
import { LetterSampler, type Rig, removeDirectory, sessionOptions, startRig } from './proxy-fixture.ts';
import { headerOf, type ScriptedUpstream, send, sse, startUpstream } from './upstream-fixture.ts';

const rollout = rolloutId(groupId('step/0', 0), 0);
const messages = [{ role: 'user' as const, content: 'Fix total.' }];
const replyJson = JSON.stringify({
  model: 'big-1',
  choices: [{ message: { role: 'assistant', content: 'From elsewhere.' }, finish_reason: 'stop' }],
});

let upstream: ScriptedUpstream;
let rig: Rig;
let session: OpenSession;
beforeEach(async () => {
  upstream = await startUpstream();
  upstream.answer = (response) => void response.setHeader('content-type', 'application/json').end(replyJson);
  const models = ModelMap.of([
    'titles=untrained',
    `small=${upstream.url}/v1`,
    `other=${upstream.url}/v1#big`,
    'policy=policy',
    '*=refuse',
  ]);
  const options = { models, upstreamKey: 'sk-of-the-upstream' };
  rig = await startRig(new LetterSampler((turn) => `Turn ${turn}.`), undefined, options);
  session = await rig.proxy.sessions.open(rollout, sessionOptions);
});
afterEach(async () => {
  await rig.stop();
  await upstream.close();
  await removeDirectory(rig.directory);
});

const openai = () => new OpenAI({ baseURL: session.baseUrl, apiKey: session.apiKey, maxRetries: 0 });
const anthropic = () =>
  new Anthropic({ baseURL: session.baseUrl.replace(/\/v1$/, ''), apiKey: session.apiKey, maxRetries: 0 });

describe('a name of the map', () => {
  it('is answered by whom it says, and only the policy’s own turns are the session’s', async () => {
    const said: unknown[] = [];
    for (const model of ['policy', 'titles', 'small', 'policy', 'other', 'titles']) {
      const { choices } = await openai().chat.completions.create({ model, messages });
      said.push(choices[0]?.message.content);
    }
    expect(said).toEqual(['Turn 0.', 'Turn 0.', 'From elsewhere.', 'Turn 0.', 'From elsewhere.', 'Turn 0.']);
    expect(upstream.seen.map(({ url, body }) => [url, JSON.parse(body.toString()).model])).toEqual([
      ['/v1/chat/completions', 'small'],
      ['/v1/chat/completions', 'big'],
    ]);
    for (const { rawHeaders } of upstream.seen) {
      expect(headerOf(rawHeaders, 'authorization')).toBe('Bearer sk-of-the-upstream');
      expect(rawHeaders.join()).not.toContain(session.apiKey);
    }
    expect(await session.close()).toMatchObject({ turns: 2, exactTurns: 2 });

    const { index } = rig.journal;
    const recorded = (id: typeof rollout) =>
      index.turns(id).map(({ fidelity, relay }) => [fidelity, relay?.model ?? null]);
    expect(recorded(rollout)).toEqual(Array(2).fill(['exact', null]));
    expect(recorded(besideId(rollout, 'untrained'))).toEqual(Array(2).fill(['exact', null]));
    expect(recorded(besideId(rollout, 'frozen'))).toEqual(Array(2).fill(['text', 'big-1']));
    const trainable = [rollout, besideId(rollout, 'untrained'), besideId(rollout, 'frozen')].map(
      (id) => index.sessions.get(id)?.trainable,
    );
    expect(trainable).toEqual([true, false, false]);
  });

  it('passes a frozen model’s bytes as they come, queries and streams too', async () => {
    const events = sse(
      { choices: [{ index: 0, delta: { content: 'Pieces.' }, finish_reason: 'stop' }] },
      'data: [DONE]\n\n',
    );
    upstream.answer = (response) => void response.setHeader('content-type', 'text/event-stream').end(events);
    const body = `{"model" : "small",\n "messages":${JSON.stringify(messages)}, "stream":true, "odd": 1.50}`;
    const headers = { authorization: `Bearer ${session.apiKey}`, 'content-type': 'application/json' };
    const reply = await send(`${session.baseUrl}/chat/completions?beta=true`, { headers, body });
    expect([reply.status, reply.body.toString()]).toEqual([200, events]);
    expect(upstream.seen.map(({ url, body: sent }) => [url, sent.toString()])).toEqual([
      ['/v1/chat/completions?beta=true', body],
    ]);
  });

  it('may be another one in a session of its own', async () => {
    const models = ModelMap.of(['policy=refuse', 'gpt-1=policy']);
    const other = await rig.proxy.sessions.open(rolloutId(groupId('step/0', 0), 1), { ...sessionOptions, models });
    const client = new OpenAI({ baseURL: other.baseUrl, apiKey: other.apiKey, maxRetries: 0 });
    expect((await client.chat.completions.create({ model: 'gpt-1', messages })).choices).toHaveLength(1);
    await expect(client.chat.completions.create({ model: 'policy', messages })).rejects.toThrow(OpenAI.NotFoundError);
    await expect(openai().chat.completions.create({ model: 'gpt-1', messages })).rejects.toThrow(OpenAI.NotFoundError);
  });
});

describe('a name that is refused', () => {
  it('is a model error in the words of each dialect', async () => {
    const model = 'gpt-0';
    const code = { status: 404, code: 'model_not_found', param: 'model', type: 'invalid_request_error' };
    await expect(openai().chat.completions.create({ model, messages })).rejects.toMatchObject(code);
    await expect(openai().responses.create({ model, input: 'Fix total.' })).rejects.toMatchObject(code);
    await expect(anthropic().messages.create({ model, max_tokens: 9, messages })).rejects.toMatchObject({
      status: 404,
      error: { type: 'error', error: { type: 'not_found_error', message: expect.stringContaining("'gpt-0'") } },
    });
    expect(rig.journal.index.turnCount).toBe(0);
  });

  it('is a bad gateway when its upstream is gone', async () => {
    await upstream.close();
    await expect(openai().chat.completions.create({ model: 'small', messages })).rejects.toMatchObject({ status: 502 });
    upstream = await startUpstream();
  });
});
