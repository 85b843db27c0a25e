import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import OpenAI from 'openai';
import { afterEach, describe, expect, it } from 'vitest';
import type { EspalierError } from '../../src/core/errors.ts';
import { groupId, rolloutId } from '../../src/core/ids.ts';
import { createProxy } from '../../src/proxy/proxy.ts';
import { turnsOf } from '../../src/trajectory/turns.ts';
import {
  clientOf,
  LetterSampler,
  type Rig,
  removeDirectory,
  renderer,
  sessionOptions,
  startRig,
  tokenizer,
} from './proxy-fixture.ts';

const rollout = rolloutId(groupId('step/0', 0), 0);
const messages = [{ role: 'user' as const, content: 'Fix total.' }];
const body = { model: 'seedling', messages };

let rig: Rig | null = null;
afterEach(async () => {
  await rig?.stop();
  if (rig !== null) await removeDirectory(rig.directory);
  rig = null;
});

async function opened(sampler: LetterSampler, options: Parameters<typeof startRig>[2] = {}) {
  rig = await startRig(sampler, undefined, options);
  const session = await rig.proxy.sessions.open(rollout, sessionOptions);
  return { rig, session, client: clientOf(session) };
}

interface RawReply {
  readonly status: number;
  readonly text: string;
  readonly headers: IncomingMessage['headers'];
  /** The reply was cut off. */
  readonly broken: boolean;
}

function raw(
  url: string,
  options: { method?: string; headers?: Record<string, string>; body?: string },
): Promise<RawReply> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(url, { method: options.method ?? 'POST', headers: options.headers ?? {} }, (reply) => {
      let text = '';
      const done = (broken: boolean) =>
        resolve({ status: reply.statusCode ?? 0, text, headers: reply.headers, broken });
      reply.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      reply.on('end', () => done(false)).on('error', () => done(true));
    });
    sent.on('error', reject);
    sent.end(options.body);
  });
}

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1));
};
const statusOf = (thrown: unknown): unknown =>
  thrown instanceof OpenAI.APIError ? [thrown.status, thrown.code] : thrown;

describe('who may speak', () => {
  it('needs the key of an open session, on the path or without one', async () => {
    const { rig, session, client } = await opened(new LetterSampler(() => 'Yes.'));
    const other = await rig.proxy.sessions.open(rolloutId(groupId('step/0', 0), 1), sessionOptions);
    expect((await client.models.list()).data.map((model) => model.id)).toEqual(['seedling']);
    const plain = new OpenAI({ baseURL: rig.proxy.url, apiKey: session.apiKey, maxRetries: 0 });
    expect((await plain.chat.completions.create(body)).choices[0]?.message.content).toBe('Yes.');
    const viaHeader = await raw(`${rig.proxy.url}/models`, { method: 'GET', headers: { 'x-api-key': session.apiKey } });
    expect(viaHeader.status).toBe(200);

    const crossed = clientOf({ baseUrl: session.baseUrl, apiKey: other.apiKey });
    expect(await crossed.chat.completions.create(body).catch(statusOf)).toEqual([401, 'invalid_api_key']);
    expect((await raw(`${rig.proxy.url}/models`, { method: 'GET' })).status).toBe(401);
    await session.close();
    expect(await client.chat.completions.create(body).catch(statusOf)).toEqual([404, 'session_not_found']);
    expect(await plain.chat.completions.create(body).catch(statusOf)).toEqual([401, 'invalid_api_key']);
    expect((await other.close()).turns).toBe(0);
  });

  it('must come under a known host name', async () => {
    const { session } = await opened(new LetterSampler(() => 'Yes.'));
    const headers = { host: 'evil.example:80', authorization: `Bearer ${session.apiKey}` };
    expect((await raw(`${session.baseUrl}/models`, { method: 'GET', headers })).status).toBe(403);
  });

  it('finds nothing under other paths, methods and model names', async () => {
    const { rig, session, client } = await opened(new LetterSampler(() => 'Yes.'));
    expect((await raw(`${rig.proxy.url}/embeddings`, {})).status).toBe(404);
    expect((await raw(`${session.baseUrl}/chat/completions`, { method: 'GET' })).status).toBe(405);
    expect(await client.chat.completions.create({ ...body, model: 'gpt-6' }).catch(statusOf)).toEqual([
      404,
      'model_not_found',
    ]);
  });
});

describe('what is not a request', () => {
  it('is answered as the real API would, with the field', async () => {
    const { session } = await opened(new LetterSampler(() => 'Yes.'), { bodyLimitBytes: 2000 });
    const headers = { authorization: `Bearer ${session.apiKey}`, 'content-type': 'application/json' };
    const post = async (text: string) => {
      const reply = await raw(`${session.baseUrl}/chat/completions`, { headers, body: text });
      const { error } = JSON.parse(reply.text) as {
        error: { type: string; param: string | null; code: string | null };
      };
      return [reply.status, error.type, error.param, error.code];
    };
    const type = 'invalid_request_error';
    expect(await post('{"model":')).toEqual([400, type, null, null]);
    expect(await post('[]')).toEqual([400, type, 'body', 'invalid_type']);
    expect(await post('{"model": "seedling"}')).toEqual([400, type, 'messages', 'missing_required_parameter']);
    expect(await post(JSON.stringify({ ...body, n: 2 }))).toEqual([400, type, 'n', 'unsupported_value']);
    expect(await post(JSON.stringify({ ...body, logprobs: true }))).toEqual([
      400,
      type,
      'logprobs',
      'unsupported_parameter',
    ]);
    expect(await post(JSON.stringify({ ...body, frobnicate: 1 }))).toEqual([
      400,
      type,
      'frobnicate',
      'unknown_parameter',
    ]);
    expect(await post(JSON.stringify({ ...body, max_tokens: 0 }))).toEqual([400, type, 'max_tokens', 'invalid_value']);
    expect(await post(JSON.stringify({ ...body, messages: [{ role: 'robot', content: '' }] }))).toEqual([
      400,
      type,
      'messages[0].role',
      'invalid_value',
    ]);
    const image = [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }];
    expect(await post(JSON.stringify({ ...body, messages: image }))).toEqual([
      400,
      type,
      'messages[0].content[0].type',
      'invalid_value',
    ]);
    expect(await post(JSON.stringify({ ...body, user: 'x'.repeat(3000) }))).toEqual([
      413,
      type,
      null,
      'request_too_large',
    ]);
  });
});

describe('limits', () => {
  it('cut a completion with finish_reason length and are named in the facts', async () => {
    const prompt = renderer().prompt(messages, []).length;
    for (const [contextLength, maxTokens, by] of [
      [4096, 5, 'tokens'],
      [prompt + 5, 400, 'context'],
    ] as const) {
      const sampler = new LetterSampler(() => 'A long story.', contextLength);
      rig = await startRig(sampler);
      const session = await rig.proxy.sessions.open(rollout, { ...sessionOptions, maxTokensPerTurn: maxTokens });
      const completion = await clientOf(session).chat.completions.create(body);
      expect(completion.choices[0]).toMatchObject({ finish_reason: 'length', message: { content: 'A lon' } });
      expect(completion.usage).toEqual({ prompt_tokens: prompt, completion_tokens: 5, total_tokens: prompt + 5 });
      expect((await session.close()).truncatedBy).toBe(by);
      await rig.stop();
      await removeDirectory(rig.directory);
      rig = null;
    }
  });

  it('refuse a prompt that does not fit', async () => {
    const { session, client } = await opened(new LetterSampler(() => 'Yes.', 8));
    expect(await client.chat.completions.create(body).catch(statusOf)).toEqual([400, 'context_length_exceeded']);
    expect(await session.close()).toMatchObject({ turns: 0, truncatedBy: 'context' });
  });

  it('refuse a long one with its status, before its event stream begins', async () => {
    const { client } = await opened(new LetterSampler(() => 'Yes.', 4096));
    const long = { ...body, messages: [{ role: 'user' as const, content: 'Fix total. '.repeat(4000) }] };
    expect(await client.chat.completions.create({ ...long, stream: true }).catch(statusOf)).toEqual([
      400,
      'context_length_exceeded',
    ]);
  });

  it("are the smaller of the session's and the request's", async () => {
    const { client } = await opened(new LetterSampler(() => 'A long story.'));
    const short = await client.chat.completions.create({ ...body, max_completion_tokens: 3 });
    expect(short.choices[0]?.message.content).toBe('A l');
  });
});

describe('a pause for new weights', () => {
  it('is one completion with the versions that sampled it', async () => {
    const sampler = new LetterSampler(() => 'Both halves.');
    sampler.pauseAfter = 5;
    const { rig, client } = await opened(sampler);
    expect((await client.chat.completions.create(body)).choices[0]?.message.content).toBe('Both halves.');
    const [turn] = rig.journal.index.turns(rollout);
    expect(sampler.requests).toHaveLength(2);
    expect(sampler.requests[1]?.seed).toBe(sampler.requests[0]?.seed);
    expect([...(turn?.versions ?? [])]).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
  });
});

describe('an engine that fails', () => {
  it('is a 502 that may be tried again, and the next try draws the same', async () => {
    const failures: EspalierError[] = [];
    const sampler = new LetterSampler(() => 'Yes.');
    sampler.failure = 'out of memory';
    const { rig, session } = await opened(sampler, { onFailure: (failure) => failures.push(failure) });
    const headers = { authorization: `Bearer ${session.apiKey}` };
    const reply = await raw(`${session.baseUrl}/chat/completions`, { headers, body: JSON.stringify(body) });
    expect([reply.status, reply.headers['retry-after']]).toEqual([502, '1']);
    expect(JSON.parse(reply.text)).toMatchObject({ error: { type: 'server_error', code: 'provider_failure' } });
    expect(failures.map((failure) => [failure.boundary, failure.message])).toEqual([
      ['provider', 'the engine failed: out of memory'],
    ]);
    expect(rig.journal.index.turnCount).toBe(0);
    await clientOf(session).chat.completions.create(body);
    expect(sampler.requests[1]?.seed).toBe(sampler.requests[0]?.seed);
    expect(await session.close()).toMatchObject({ turns: 1 });
  });

  it('never ends a stream cleanly', async () => {
    const sampler = new LetterSampler(() => 'Yes.');
    sampler.failure = 'out of memory';
    const { session, client } = await opened(sampler);
    const headers = { authorization: `Bearer ${session.apiKey}` };
    const reply = await raw(`${session.baseUrl}/chat/completions`, {
      headers,
      body: JSON.stringify({ ...body, stream: true }),
    });
    expect(reply.broken).toBe(true);
    expect(reply.text).toContain('"delta":{"content":"Y"}');
    expect(reply.text).not.toContain('[DONE]');
    sampler.failure = 'again';
    const stream = await client.chat.completions.create({ ...body, stream: true });
    const consumed = (async () => {
      for await (const _ of stream);
    })();
    await expect(consumed).rejects.toThrow(/terminated/);
  });
});

describe('a store that fails', () => {
  it('is told, acknowledges nothing, and is a 503', async () => {
    const failures: EspalierError[] = [];
    const { rig, client } = await opened(new LetterSampler(() => 'Yes.'), {
      onFailure: (failure) => failures.push(failure),
    });
    await rig.journal.close();
    expect(await client.chat.completions.create(body).catch(statusOf)).toEqual([503, 'store_failure']);
    expect(failures[0]?.boundary).toBe('store');
  });
});

describe('streams', () => {
  it('send headers at once, content as it grows, comments in silence, and the end last', async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const sampler = new LetterSampler(() => 'Ab.');
    sampler.pace = async (position) => (position === 2 ? gate : undefined);
    const { rig, session } = await opened(sampler, { keepAliveMs: 5 });
    const reply = await fetch(`${session.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${session.apiKey}` },
      body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
    });
    expect(reply.headers.get('content-type')).toContain('text/event-stream');
    const reader = reply.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    const read = async (until: string) => {
      while (!text.includes(until)) {
        const { value, done } = await reader.read();
        if (done) break;
        text += value;
      }
    };
    await read(': keep-alive');
    expect(text).toContain('"delta":{"content":"b"}');
    expect(rig.journal.index.turnCount).toBe(0);
    release();
    await read('[DONE]');
    expect(rig.journal.index.turnCount).toBe(1);
    const events = text.split('\n\n').filter((event) => event.startsWith('data: {'));
    expect(JSON.parse(events.at(-2)!.slice(6))).toMatchObject({ choices: [{ finish_reason: 'stop' }] });
    expect(JSON.parse(events.at(-1)!.slice(6))).toMatchObject({ choices: [], usage: { completion_tokens: 4 } });
  });
});

describe('a client that goes away', () => {
  it('stops the sampler, and its next try is the same turn', async () => {
    const sampler = new LetterSampler(() => 'Yes.');
    let aborted = false;
    sampler.pace = (_, request) =>
      new Promise((resolve) => {
        request.signal?.addEventListener('abort', () => {
          aborted = true;
          resolve();
        });
      });
    const { rig, session, client } = await opened(sampler);
    const leaving = new AbortController();
    const left = client.chat.completions.create(body, { signal: leaving.signal }).catch(() => 'left');
    await until(() => sampler.requests.length === 1);
    leaving.abort();
    expect(await left).toBe('left');
    await until(() => aborted);
    sampler.pace = async () => {};
    await client.chat.completions.create(body);
    expect(sampler.requests.map((request) => request.seed)).toEqual([
      sampler.requests[0]?.seed,
      sampler.requests[0]?.seed,
    ]);
    expect(rig.journal.index.turns(rollout).map((turn) => turn.index)).toEqual([0]);
    expect((await session.close()).turns).toBe(1);
  });

  it('gets the recorded turn when it says that it tries again; without saying so it gets another sample', async () => {
    const sampler = new LetterSampler(() => 'Yes.');
    const { rig, session, client } = await opened(sampler);
    const first = await client.chat.completions.create(body);
    const retried = await client.chat.completions.create(body, { headers: { 'x-stainless-retry-count': '1' } });
    expect(retried.choices).toEqual(first.choices);
    expect(sampler.requests).toHaveLength(1);
    await client.chat.completions.create(body);
    expect(sampler.requests).toHaveLength(2);
    expect(sampler.requests[1]?.seed).not.toBe(sampler.requests[0]?.seed);
    expect(rig.journal.index.turns(rollout).map((turn) => turn.break?.cause)).toEqual([undefined, 'same-prompt']);
    expect((await session.close()).turns).toBe(2);
  });

  it('gets the recorded turn when its connection broke after the turn was durable', async () => {
    const sampler = new LetterSampler(() => 'x'.repeat(300));
    const { rig, session, client } = await opened(sampler);
    const url = new URL(`${session.baseUrl}/chat/completions`);
    const sent = httpRequest(url, { method: 'POST', headers: { authorization: `Bearer ${session.apiKey}` } });
    sent.on('error', () => {});
    const append = rig.journal.appendTurn.bind(rig.journal);
    let durable = false;
    rig.journal.appendTurn = async (...parts) => {
      await append(...parts);
      sent.destroy();
      durable = true;
      await new Promise((resolve) => setTimeout(resolve, 20));
    };
    sent.end(JSON.stringify(body));
    await until(() => durable && rig?.journal.index.turnCount === 1);
    rig.journal.appendTurn = append;
    await new Promise((resolve) => setTimeout(resolve, 40));
    const again = await client.chat.completions.create(body);
    expect(again.choices[0]?.message.content).toBe('x'.repeat(300));
    expect(sampler.requests).toHaveLength(1);
    expect((await session.close()).turns).toBe(1);
  });
});

describe('sessions', () => {
  it('refuse to be opened twice at a time, and abort what is under way when they close', async () => {
    const sampler = new LetterSampler(() => 'Yes.');
    sampler.pace = (_, request) => new Promise((resolve) => request.signal?.addEventListener('abort', () => resolve()));
    const { rig, session, client } = await opened(sampler);
    await expect(rig.proxy.sessions.open(rollout, sessionOptions)).rejects.toThrow(/open already/);
    const asked = client.chat.completions.create(body).catch(statusOf);
    await until(() => sampler.requests.length === 1);
    expect((await session.close()).turns).toBe(0);
    expect(await asked).toEqual([401, 'invalid_api_key']);
    expect(rig.proxy.sessions.openCount).toBe(0);
  });

  it('number requests in the order in which they come, though a long one is encoded in another thread', async () => {
    const { rig, client } = await opened(new LetterSampler(() => 'Yes.', 1 << 20));
    const long = 'Fix total. '.repeat(4000);
    const asked = [long, 'Short.', `${long}!`, 'Shorter.'].map((content) =>
      client.chat.completions.create({ ...body, messages: [{ role: 'user', content }] }),
    );
    await Promise.all(asked);
    const turns = turnsOf(rig.journal.index.turns(rollout));
    const lengths = turns.map(({ prompt }) => prompt.length);
    expect(lengths.map((length) => length > 1000)).toEqual([true, false, true, false]);
  });

  it('sample parallel requests apart and record each', async () => {
    const sampler = new LetterSampler((turn) => `Turn ${turn}.`);
    const { rig, client, session } = await opened(sampler);
    await Promise.all(Array.from({ length: 20 }, () => client.chat.completions.create(body)));
    const turns = rig.journal.index.turns(rollout);
    expect(new Set(turns.map((turn) => turn.index)).size).toBe(20);
    expect(new Set(sampler.requests.map((request) => request.seed)).size).toBe(20);
    expect(await session.close()).toMatchObject({ turns: 20, exactTurns: 20, retokenizedSampledTokens: 0 });
    expect(tokenizer.decode(turns[0]?.completion ?? [])).toBe('Turn 0.<|im_end|>');
  });
});

describe('a port in use', () => {
  it('is one clear line', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as AddressInfo;
    const { rig } = await opened(new LetterSampler(() => ''));
    const second = createProxy({
      sampler: new LetterSampler(() => ''),
      renderer: renderer(),
      journal: rig.journal,
      modelName: 'x',
      port,
    });
    await expect(second).rejects.toThrow(`cannot listen on 127.0.0.1:${port}: the port is in use: choose another`);
    taken.close();
  });
});
