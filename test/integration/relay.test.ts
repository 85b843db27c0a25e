/** `espalier proxy` in a process of its own, in front of an upstream that does what upstreams do. */

import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { groupId, rolloutId } from '../../src/core/ids.ts';
import { upstreamOf } from '../../src/proxy/relay/headers.ts';
import { createRelay } from '../../src/proxy/relay/relay.ts';
import { diskFiles } from '../../src/store/disk-files.ts';
import { Journal, storeDirectory } from '../../src/trajectory/journal.ts';
import { readRun } from '../../src/trajectory/run-index.ts';
import { messagesOf } from '../../src/trajectory/transcript.ts';
import { turnsOf } from '../../src/trajectory/turns.ts';
import { type Ended, espalier, type Started, startEspalier } from './run-fixture.ts';
import { baseUrlOf, interrupt } from './serving-fixture.ts';
import { headerOf, type ScriptedUpstream, send, sse, startUpstream } from './upstream-fixture.ts';

const patience = 300_000;
let folder = '';
let upstream: ScriptedUpstream;
let relay: Started;
let url = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-relay-'));
  upstream = await startUpstream();
  relay = startEspalier(folder, ['proxy', '--upstream', `${upstream.url}/v1`], { ownGroup: true });
  url = await baseUrlOf(relay);
}, patience);
afterAll(async () => {
  await upstream.close();
  await rm(folder, { recursive: true, force: true });
});

const json = { 'Content-Type': 'application/json', Authorization: 'Bearer sk-of-the-provider' };
const first = { role: 'user', content: 'Fix total.' };
const call = { id: 'call_1', type: 'function', function: { name: 'read', arguments: '{ "path": "a.js" }' } };
const answer = { role: 'tool', tool_call_id: 'call_1', content: 'return a - b;' };
const chunk = (delta: object, finish: string | null = null) => ({
  model: 'big-1',
  choices: [{ index: 0, delta, finish_reason: finish }],
});

describe('bytes', () => {
  it('pass untouched in both directions, heads too', async () => {
    const body = `{"model" : "big",\n "messages":[${JSON.stringify(first)}], "temperature":0.50, "x":"\\u00e9"}`;
    const reply = `{ "model":"big-1","usage":{"prompt_tokens":7,"completion_tokens":3},\n"choices":[{"message":${JSON.stringify(
      { role: 'assistant', content: null, reasoning_content: 'Hm.', tool_calls: [call] },
    )},"finish_reason":"tool_calls"}]}\n`;
    upstream.answer = (response) => {
      response.sendDate = false;
      response.writeHead(200, 'Fine', [
        'X-Request-ID',
        'req 1',
        'Set-Cookie',
        'a=1',
        'Set-Cookie',
        'b=2',
        'Content-Type',
        'application/json',
      ]);
      response.end(reply);
    };
    const got = await send(`${url}/chat/completions?beta=true`, {
      headers: { ...json, 'X-Odd-Case': 'é'.normalize('NFD').slice(0, 1) },
      body,
    });
    const seen = upstream.seen.at(-1)!;
    expect(seen.method).toBe('POST');
    expect(seen.url).toBe('/v1/chat/completions?beta=true');
    expect(seen.body.toString()).toBe(body);
    expect(seen.rawHeaders).toContain('X-Odd-Case');
    expect(headerOf(seen.rawHeaders, 'authorization')).toBe('Bearer sk-of-the-provider');
    expect(headerOf(seen.rawHeaders, 'host')).toBe(new URL(upstream.url).host);
    expect(got.status).toBe(200);
    expect(got.body.toString()).toBe(reply);
    expect(
      got.rawHeaders.filter(
        (text) => !/^(connection|keep-alive|close|timeout=.*|transfer-encoding|chunked)$/i.test(text),
      ),
    ).toEqual(['X-Request-ID', 'req 1', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Content-Type', 'application/json']);
  });

  it('of a stream pass as they come, each event before the next one is made', async () => {
    const body = JSON.stringify({
      model: 'big',
      stream: true,
      messages: [first, { role: 'assistant', content: '', tool_calls: [call] }, answer],
    });
    const pieces = [
      sse(chunk({ role: 'assistant' })),
      sse(chunk({ content: 'Swapped ' })),
      sse(': keep-alive\n\n', chunk({ content: 'the sign.' })),
      sse(chunk({}, 'stop'), 'data: [DONE]\n\n'),
    ];
    let arrived = (): void => undefined;
    upstream.answer = async (response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8' });
      for (const piece of pieces) {
        const seen = new Promise<void>((resolve) => {
          arrived = resolve;
        });
        response.write(piece);
        await seen;
      }
      response.end();
    };
    const got = await send(`${url}/chat/completions`, { headers: json, body, onPiece: () => arrived() });
    expect(got.complete).toBe(true);
    expect(got.body.toString()).toBe(pieces.join(''));
  });

  it('that are compressed stay compressed', async () => {
    const reply = gzipSync(JSON.stringify({ choices: [{ message: { content: 'Small.' }, finish_reason: 'length' }] }));
    upstream.answer = (response) => {
      response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' });
      response.end(reply);
    };
    const body = gzipSync(JSON.stringify({ model: 'big', messages: [{ role: 'user', content: 'A title.' }] }));
    const got = await send(`${url}/chat/completions`, { headers: { ...json, 'Content-Encoding': 'gzip' }, body });
    expect(upstream.seen.at(-1)!.body.equals(body)).toBe(true);
    expect(got.body.equals(reply)).toBe(true);
  });

  it('of the messages and the responses format pass, and of paths that are no turns', async () => {
    const events = sse(
      {
        type: 'message_start',
        message: { model: 'claude-x', content: [], usage: { input_tokens: 5, output_tokens: 1 } },
      },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Reading.' } },
      {
        type: 'content_block_start',
        index: 1,
        content_block: { type: 'tool_use', id: 'toolu_1', name: 'read', input: {} },
      },
      { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '{"path":' } },
      { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '"b.js"}' } },
      { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 9 } },
      { type: 'message_stop' },
    );
    upstream.answer = (response) => void response.writeHead(200, { 'Content-Type': 'text/event-stream' }).end(events);
    const asked = { model: 'claude', max_tokens: 9, stream: true, system: 'Be brief.', messages: [first] };
    const got = await send(`${url}/messages?beta=true`, { headers: json, body: JSON.stringify(asked) });
    expect(got.body.toString()).toBe(events);

    const output = [{ type: 'function_call', call_id: 'c1', name: 'shell', arguments: '{}' }];
    upstream.answer = (response) =>
      void response
        .writeHead(200, { 'Content-Type': 'text/event-stream' })
        .end(sse({ type: 'response.completed', response: { model: 'codex-x', output } }));
    await send(`${url}/responses`, { headers: json, body: JSON.stringify({ model: 'm', input: 'Go.', stream: true }) });

    upstream.answer = (response) => void response.end('{"data":[]}');
    expect((await send(`${url}/models`, { method: 'GET' })).body.toString()).toBe('{"data":[]}');
    expect((await send(url.replace('/v1', '/'), { method: 'HEAD' })).status).toBe(200);
  });

  it('with ids and log-probabilities are recorded with them', async () => {
    const reply = {
      model: 'local',
      prompt_token_ids: [1, 2, 3],
      choices: [
        {
          message: { content: 'ok' },
          finish_reason: 'stop',
          token_ids: [7, 8],
          logprobs: {
            content: [
              { token: 'o', logprob: -0.5 },
              { token: 'k', logprob: -0.25 },
            ],
          },
        },
      ],
    };
    upstream.answer = (response) => void response.end(JSON.stringify(reply));
    const body = JSON.stringify({ model: 'local', messages: [{ role: 'user', content: 'ok?' }], logprobs: true });
    await send(`${url}/chat/completions`, { headers: json, body });
  });
});

describe('faults', () => {
  it("the upstream's own errors pass untouched", async () => {
    upstream.answer = (response) =>
      void response.writeHead(429, 'Slow down', { 'Retry-After': '7' }).end('{"error":{"message":"too fast"}}');
    const got = await send(`${url}/messages`, { headers: json, body: '{"model":"m","messages":[]}' });
    expect([got.status, headerOf(got.rawHeaders, 'retry-after'), got.body.toString()]).toEqual([
      429,
      '7',
      '{"error":{"message":"too fast"}}',
    ]);
  });

  it('a stream that breaks off upstream breaks off at the client, after the same bytes', async () => {
    const begun = sse(chunk({ content: 'I will ' }), chunk({ content: 'never' }));
    upstream.answer = (response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write(begun, () => response.destroy());
    };
    const body = JSON.stringify({ model: 'big', stream: true, messages: [first] });
    const got = await send(`${url}/chat/completions`, { headers: json, body });
    expect([got.complete, got.body.toString()]).toEqual([false, begun]);
  });

  it('a client that goes away ends the call upstream', async () => {
    const leaving = new AbortController();
    const ended = new Promise<void>((resolve) => {
      upstream.answer = (response) => {
        response.on('close', resolve);
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        response.write(sse(chunk({ content: 'Well' })));
      };
    });
    const body = JSON.stringify({ model: 'big', stream: true, messages: [first] });
    await send(`${url}/chat/completions`, {
      headers: json,
      body,
      signal: leaving.signal,
      onPiece: () => leaving.abort(),
    }).catch(() => null);
    await ended;
  });

  it('hosts and pages that it was not told of are refused', async () => {
    const refused = async (headers: Record<string, string>) =>
      (await send(`${url}/models`, { method: 'GET', headers })).status;
    expect(await refused({ Host: 'rebound.example' })).toBe(403);
    expect(await refused({ Origin: 'https://page.example' })).toBe(403);
  });
});

describe('the record, after Ctrl-C', () => {
  let ended: Ended;
  beforeAll(async () => {
    ended = await interrupt(relay);
  }, patience);

  it('is whole, and the process ends with 0', () => {
    expect(ended).toMatchObject({ code: 0, signal: null });
    expect(ended.stdout).toMatch(/^listening: http:\/\/127\.0\.0\.1:\d+\/v1 {2}admin: esp-[\w-]{43}\n$/);
    expect(ended.stderr).toContain('6 turns recorded');
  });

  it('holds what was said, and notes of what was no turn', async () => {
    const index = await readRun(storeDirectory(join(folder, 'runs/serve')));
    const rollout = rolloutId(groupId('default', 0), 0);
    const turns = index.turns(rollout);
    expect(
      turns.map(({ fidelity, finishReason, relay }) => [relay?.path, relay?.model, fidelity, finishReason]),
    ).toEqual([
      ['/v1/chat/completions', 'big-1', 'text', 'tool_calls'],
      ['/v1/chat/completions', 'big-1', 'text', 'stop'],
      ['/v1/chat/completions', 'big', 'text', 'length'],
      ['/v1/messages', 'claude-x', 'text', 'tool_calls'],
      ['/v1/responses', 'codex-x', 'text', 'tool_calls'],
      ['/v1/chat/completions', 'local', 'observed', 'stop'],
    ]);
    expect(turns[0]).toMatchObject({
      wishes: { temperature: 0.5, x: 'é' },
      relay: { usage: { promptTokens: 7, completionTokens: 3 }, thinking: 'Hm.' },
    });
    expect(turns.slice(0, 3).map(({ parent, break: broke }) => [parent, broke?.cause ?? null])).toEqual([
      [null, null],
      [0, null],
      [null, 'new-root'],
    ]);
    expect(turns[5]).toMatchObject({
      tail: Int32Array.of(1, 2, 3),
      completion: Int32Array.of(7, 8),
      behaviorLogprobs: Float32Array.of(-0.5, -0.25),
    });
    expect(turnsOf(turns)[5]?.prompt).toEqual(Int32Array.of(1, 2, 3));
    expect(JSON.parse(index.messageBody(turns[0]!.reply) ?? '')).toEqual({
      role: 'assistant',
      content: '',
      calls: [{ name: 'read', arguments: { path: 'a.js' } }],
    });
    expect(messagesOf(index, rollout).map(({ content }) => content)).toEqual(['ok?', 'ok']);
    expect(index.notes.map(({ why, status }) => [why, status])).toEqual([
      ['error', 429],
      ['broken', 200],
      ['broken', 200],
    ]);
    expect(index.outcomes.get(rollout)).toMatchObject({ outcome: { status: 'completed' }, facts: { turns: 6 } });
  });

  it('has no key in it', async () => {
    const store = storeDirectory(join(folder, 'runs/serve'));
    for (const name of await readdir(store)) {
      expect((await readFile(join(store, name))).includes('sk-of-the-provider')).toBe(false);
    }
  });

  it('is read by inspect', { timeout: patience }, async () => {
    const inspected = await espalier(folder, 'inspect', 'runs/serve', '--json');
    expect(JSON.parse(inspected.stdout)).toMatchObject({ turns: 6, exact: 0, observed: 1, text: 5, sessions: 1 });
  });
});

describe('a relay', () => {
  const key = '0123456789abcdef0123456789abcdef';

  it('with a key asks for it, keeps it to itself, and sends the key of the upstream', async () => {
    const where = await mkdtemp(join(tmpdir(), 'espalier-relay-'));
    await using journal = { it: await Journal.open(where), [Symbol.asyncDispose]: () => journal.it.close() };
    const keyed = await createRelay({
      upstream: upstreamOf(upstream.url),
      upstreamKey: 'sk-upstream',
      journal: journal.it,
    });
    const passing = await createRelay({ upstream: upstreamOf(upstream.url), upstreamKey: null, journal: journal.it });
    upstream.answer = (response) => void response.end('{}');
    try {
      for (const server of [keyed, passing]) await server.sessions.open(rolloutId(groupId('default', 0), 0), key);
      const asked = (server: { url: string }, headers: Record<string, string>) =>
        send(`${server.url}/models`, { method: 'GET', headers });
      expect((await asked(keyed, {})).status).toBe(401);
      expect((await asked(keyed, { 'x-api-key': key.toUpperCase() })).status).toBe(401);

      expect((await asked(keyed, { 'x-api-key': key })).status).toBe(200);
      expect(headerOf(upstream.seen.at(-1)!.rawHeaders, 'authorization')).toBe('Bearer sk-upstream');
      expect(upstream.seen.at(-1)!.rawHeaders.join(' ')).not.toContain(key);

      expect((await asked(passing, { 'x-api-key': key, authorization: 'Bearer sk-mine' })).status).toBe(200);
      expect(headerOf(upstream.seen.at(-1)!.rawHeaders, 'authorization')).toBe('Bearer sk-mine');
      expect(upstream.seen.at(-1)!.rawHeaders.join(' ')).not.toContain(key);
    } finally {
      await keyed.close();
      await passing.close();
    }
    await rm(where, { recursive: true, force: true });
  });

  it('answers 502 in the form of the dialect when the upstream is down', async () => {
    const where = await mkdtemp(join(tmpdir(), 'espalier-relay-'));
    const journal = await Journal.open(where);
    const gone = await startUpstream();
    await gone.close();
    const down = await createRelay({ upstream: upstreamOf(gone.url), upstreamKey: null, journal });
    down.sessions.openKeyless(rolloutId(groupId('default', 0), 0));
    const ask = async (path: string) => {
      const got = await send(`${down.url}${path}`, { body: '{}' });
      return [got.status, headerOf(got.rawHeaders, 'retry-after'), JSON.parse(got.body.toString())];
    };
    const message = expect.stringMatching(/^The upstream http:\/\/127\.0\.0\.1:\d+ gave no answer: .*ECONNREFUSED/);
    expect(await ask('/chat/completions')).toEqual([
      502,
      '1',
      { error: { message, type: 'server_error', param: null, code: 'upstream_failure' } },
    ]);
    expect(await ask('/messages')).toEqual([502, '1', { type: 'error', error: { type: 'api_error', message } }]);
    await down.close();
    await journal.close();
    await rm(where, { recursive: true, force: true });
  });

  it('passes replies on when the disk is full, and tells what is lost', async () => {
    const where = await mkdtemp(join(tmpdir(), 'espalier-relay-'));
    const failing = { append: () => Promise.reject(new Error('ENOSPC')), sync: async () => {}, close: async () => {} };
    const journal = await Journal.open(where, { files: { ...diskFiles, open: async () => failing } });
    const lost: string[] = [];
    const full = await createRelay({
      upstream: upstreamOf(upstream.url),
      upstreamKey: null,
      journal,
      onDrop: (failure) => lost.push(failure.boundary),
    });
    const session = full.sessions.openKeyless(rolloutId(groupId('default', 0), 0));
    const reply = JSON.stringify({ choices: [{ message: { content: 'Fine.' }, finish_reason: 'stop' }] });
    upstream.answer = (response) => void response.end(reply);
    const got = await send(`${full.url}/chat/completions`, { body: JSON.stringify({ model: 'm', messages: [first] }) });
    expect([got.status, got.body.toString()]).toEqual([200, reply]);
    await full.close();
    await session.close();
    expect(lost).toEqual(['store']);
    await journal.close();
    await rm(where, { recursive: true, force: true });
  });

  it('sends a call again when the upstream closed an idle connection at the same moment', async () => {
    const where = await mkdtemp(join(tmpdir(), 'espalier-relay-'));
    const journal = await Journal.open(where);
    const bodies: string[] = [];
    // Answers the first call of a connection, and takes the second one for the time to close it.
    const closing = createServer((socket) => {
      let calls = 0;
      socket.on('data', (bytes) => {
        if (calls++ > 0) socket.resetAndDestroy();
        else {
          bodies.push(bytes.toString().split('\r\n\r\n')[1] ?? '');
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}');
        }
      });
    });
    await new Promise<void>((resolve) => closing.listen(0, '127.0.0.1', resolve));
    const { port } = closing.address() as AddressInfo;
    const relayed = await createRelay({ upstream: upstreamOf(`http://127.0.0.1:${port}`), upstreamKey: null, journal });
    relayed.sessions.openKeyless(rolloutId(groupId('default', 0), 0));
    for (const body of ['{"a":1}', '{"b":2}']) {
      expect((await send(`${relayed.url}/chat/completions`, { body })).body.toString()).toBe('{}');
    }
    expect(bodies).toEqual(['{"a":1}', '{"b":2}']);
    await relayed.close();
    closing.close();
    await journal.close();
    await rm(where, { recursive: true, force: true });
  });
});
