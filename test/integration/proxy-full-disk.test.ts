/** What agents see while the disk takes nothing, in each dialect, and that they go on when it does. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { groupId, rolloutId } from '../../src/core/ids.ts';
import { AccessKey } from '../../src/proxy/access.ts';
import { Metrics } from '../../src/proxy/metrics.ts';
import { createProxy, type ProxyServer } from '../../src/proxy/proxy.ts';
import { diskFiles } from '../../src/store/disk-files.ts';
import type { StoreFiles } from '../../src/store/files.ts';
import { Journal, storeDirectory } from '../../src/trajectory/journal.ts';
import { readRun } from '../../src/trajectory/run-index.ts';
import { LetterSampler, removeDirectory, renderer, sessionOptions } from './proxy-fixture.ts';

const adminKey = 'an-admin-key-of-0123456789-abcdefghijk';
const rollout = rolloutId(groupId('step/0', 0), 0);
const user = [{ role: 'user', content: 'Fix total.' }];
const calls = [
  { path: 'chat/completions', body: { model: 'seedling', messages: user }, error: ['error', 'message'] },
  { path: 'responses', body: { model: 'seedling', input: user }, error: ['error', 'message'] },
  { path: 'messages', body: { model: 'seedling', max_tokens: 50, messages: user }, error: ['error', 'message'] },
];

/** A disk that can be full. */
function fillable(): { readonly files: StoreFiles; full: boolean } {
  const disk = { full: false, files: diskFiles };
  const take = <T>(write: () => Promise<T>): Promise<T> =>
    disk.full ? Promise.reject(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })) : write();
  disk.files = {
    ...diskFiles,
    open: async (path) => {
      const file = await diskFiles.open(path);
      return { ...file, append: (bytes) => take(() => file.append(bytes)) };
    },
  };
  return disk;
}

let open: { readonly proxy: ProxyServer; readonly journal: Journal; readonly directory: string } | null = null;
afterEach(async () => {
  await open?.proxy.close();
  await open?.journal.close();
  if (open !== null) await removeDirectory(open.directory);
  open = null;
});

async function start(sampler: LetterSampler) {
  const disk = fillable();
  const directory = await mkdtemp(join(tmpdir(), 'espalier-full-'));
  const journal = await Journal.open(directory, { files: disk.files });
  const failures: string[] = [];
  const metrics = new Metrics(AccessKey.of(adminKey, 'the test'));
  metrics.watch(journal);
  const proxy = await createProxy({
    ...{ sampler, renderer: renderer(), journal, metrics, modelName: 'seedling' },
    onFailure: ({ boundary }) => failures.push(boundary),
  });
  open = { proxy, journal, directory };
  const figure = async (): Promise<number> => {
    const reply = await fetch(`${proxy.url}/espalier/metrics`, { headers: { authorization: `Bearer ${adminKey}` } });
    return Number(/^espalier_record_failing (\d)$/m.exec(await reply.text())?.[1]);
  };
  return { disk, directory, proxy, journal, failures, figure };
}

describe('while the disk is full', () => {
  it.each(calls)(
    'agents of $path get 503 in their dialect, and the same request is served when there is room',
    async (call) => {
      const sampler = new LetterSampler(() => 'Done');
      const { disk, directory, proxy, failures, figure } = await start(sampler);
      const session = await proxy.sessions.open(rollout, sessionOptions);
      const ask = (more: object = {}) =>
        fetch(`${session.baseUrl}/${call.path}`, {
          method: 'POST',
          headers: { authorization: `Bearer ${session.apiKey}`, 'content-type': 'application/json' },
          body: JSON.stringify({ ...call.body, ...more }),
        });
      disk.full = true;
      const first = await ask();
      const refused = (await first.json()) as { type?: string; error: { message: string; type: string } };
      expect([first.status, first.headers.get('retry-after')]).toEqual([503, '1']);
      expect(refused.error.message).toMatch(/the disk is full; free space/);
      expect(refused.type).toBe(call.path === 'messages' ? 'error' : undefined);

      // From now on nothing is sampled in vain, streamed or not, and a stream has no good end.
      const sampled = sampler.requests.length;
      expect((await ask()).status).toBe(503);
      const streamed = await ask({ stream: true });
      const text = await streamed.text().catch(() => 'the connection was cut');
      expect(streamed.status === 503 || /error|cut/.test(text)).toBe(true);
      expect(text).not.toMatch(/\[DONE\]|message_stop|response\.completed/);
      expect(sampler.requests.length).toBe(sampled);
      expect(failures).toEqual(['store', 'store', 'store']);
      expect(await figure()).toBe(1);

      disk.full = false;
      expect((await ask()).status).toBe(200);
      await session.close();
      const record = await readRun(storeDirectory(directory));
      expect(record.turns(rollout).map(({ index }) => index)).toEqual([0]);
      expect([...record.sessions.keys()]).toEqual([rollout]);
    },
  );

  it('a session that was opened meanwhile is in the record before its first turn', async () => {
    const { disk, directory, proxy } = await start(new LetterSampler(() => 'Done'));
    disk.full = true;
    const session = await proxy.sessions.open(rollout, sessionOptions);
    await new Promise((resolve) => setTimeout(resolve, 20));
    disk.full = false;
    const reply = await fetch(`${session.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${session.apiKey}` },
      body: JSON.stringify(calls[0]?.body),
    });
    expect(reply.status).toBe(200);
    const record = await readRun(storeDirectory(directory));
    expect([[...record.sessions.keys()], record.turnCount]).toEqual([[rollout], 1]);
  });
});
