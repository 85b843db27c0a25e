/** What is no HTTP request, or comes too slowly: an error of the dialect, and the end of the connection. */
import { afterEach, describe, expect, it } from 'vitest';
import { groupId, rolloutId } from '../../src/core/ids.ts';
import { Connection, type Sending } from '../fuzz/http-client.ts';
import { LetterSampler, type Rig, removeDirectory, sessionOptions, startRig } from './proxy-fixture.ts';

let rig: Rig | null = null;
afterEach(async () => {
  await rig?.stop();
  if (rig !== null) await removeDirectory(rig.directory);
  rig = null;
});

async function opened(slowRequest = { headersMs: 30_000, requestMs: 30_000 }) {
  const sampler = new LetterSampler(() => 'Yes.');
  rig = await startRig(sampler, undefined, { slowRequest, bodyLimitBytes: 100_000 });
  const session = await rig.proxy.sessions.open(rolloutId(groupId('step/0', 0), 0), sessionOptions);
  const { port } = new URL(rig.proxy.url);
  const head = (path: string, ...more: string[]): string =>
    [`POST /v1${path} HTTP/1.1`, `host: 127.0.0.1:${port}`, `x-api-key: ${session.apiKey}`, ...more, '', ''].join(
      '\r\n',
    );
  const send = async (text: string, more: Partial<Sending> = {}) => {
    const connection = new Connection(Number(port));
    const pieces = [Buffer.from(text, 'latin1')];
    const exchange = await connection.exchange({ pieces, after: 'wait', answers: 1, ...more }, 30_000);
    connection.destroy();
    return exchange.answers.map(({ status, body }) => [status, JSON.parse(body)]);
  };
  return { rig, sampler, head, send };
}

const openai = (code: string) => ({ error: expect.objectContaining({ type: 'invalid_request_error', code }) });
const anthropic = { type: 'error', error: { type: 'invalid_request_error', message: expect.any(String) } };
const chat = JSON.stringify({ model: 'seedling', messages: [{ role: 'user', content: 'Well?' }] });

describe('what is no request', () => {
  it('is an error of the dialect that it seems to speak', async () => {
    const { rig, head, send } = await opened();
    expect(await send('\x16\x03\x01\x02\x00\r\n\r\n')).toEqual([[400, openai('invalid_http')]]);
    expect(await send(head('/chat/completions', 'a b: c'))).toEqual([[400, openai('invalid_http')]]);
    expect(await send(head('/messages', 'a b: c'))).toEqual([[400, anthropic]]);
    const chunked = ['transfer-encoding: chunked', 'anthropic-version: 2023-06-01'];
    expect(await send(`${head('/messages', ...chunked)}zz\r\n`)).toEqual([[400, anthropic]]);
    expect(await send(head('/chat/completions', `x: ${'h'.repeat(100_000)}`))).toEqual([
      [431, openai('headers_too_large')],
    ]);
    expect(await send('CONNECT evil.example:80 HTTP/1.1\r\nhost: x\r\n\r\n')).toEqual([
      [405, { error: expect.objectContaining({ type: 'invalid_request_error' }) }],
    ]);
    expect(await send('GET /v1/models HTTP/1.1\r\n\r\n')).toEqual([[403, openai('host_not_allowed')]]);
    expect(rig.journal.index.turnCount).toBe(0);
  });

  it('does not harm the requests before it, nor a body that is too large those after it', async () => {
    const { rig, head, send } = await opened();
    const good = `${head('/chat/completions', `content-length: ${chat.length}`)}${chat}`;
    const large = `${head('/responses', 'content-length: 900000')}${'x'.repeat(900_000)}`;
    const answers = await send(large + good, { answers: 2 });
    expect(answers).toEqual([
      [413, openai('request_too_large')],
      [200, expect.objectContaining({ object: 'chat.completion' })],
    ]);
    expect(rig.journal.index.turnCount).toBe(1);
  });

  it('may be broken UTF-8, which no model is asked with', async () => {
    const { head, send } = await opened();
    const broken = chat.replace('Well', '\xff\xfe');
    const text = `${head('/chat/completions', `content-length: ${broken.length}`)}${broken}`;
    expect((await send(text))[0]?.[1]).toMatchObject({ error: { message: 'The body is not valid UTF-8.' } });
  });
});

describe('a slow client', () => {
  it.each([
    ['headers', 'POST /v1/messages HTTP/1.1\r\nhost: x\r\n'],
    ['its first byte', ''],
  ])('is told so when %s do not come', async (_, text) => {
    const { send } = await opened({ headersMs: 300, requestMs: 600 });
    expect((await send(text))[0]?.[0]).toBe(408);
  });

  it('is told so when a body does not end, and nothing is recorded', async () => {
    const { rig, head, send } = await opened({ headersMs: 300, requestMs: 600 });
    expect(await send(`${head('/chat/completions', 'content-length: 90')}{`)).toEqual([
      [408, openai('request_timeout')],
    ]);
    expect(rig.journal.index.turnCount).toBe(0);
  });
});

it('what is no request is not answered in the middle of a stream that came before it', async () => {
  const { rig, sampler, head, send } = await opened();
  const goes = Promise.withResolvers<void>();
  sampler.pace = () => goes.promise;
  const stream = JSON.stringify({ ...JSON.parse(chat), stream: true });
  const good = `${head('/chat/completions', `content-length: ${stream.length}`)}${stream}`;
  const pieces = [good + head('/chat/completions', 'transfer-encoding: chunked'), 'zz\r\n'].map((it) =>
    Buffer.from(it),
  );
  // By then the headers of the stream are on their way; the reader would say what is no chunk of it.
  await expect(send('', { pieces, pauseMs: 500, answers: 2 })).rejects.toThrow('the connection ended within an answer');
  goes.resolve();
  expect(rig.journal.index.turnCount).toBe(0);
});
