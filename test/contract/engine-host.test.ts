import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { policyVersion } from '../../src/core/ids.ts';
import { writeCheckpoint } from '../../src/engine/checkpoint.ts';
import { createEngineHost } from '../../src/host/engine-host.ts';
import { ask } from './engine-collect.ts';
import { livelyCheckpoint } from './engine-models.ts';

const entry = new URL('./engine-hash-child.ts', import.meta.url);
let directory = '';
let model = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'espalier-host-'));
  model = join(directory, 'model');
  await writeCheckpoint(model, livelyCheckpoint());
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test('a crash ends open requests and pending calls with the reason; restarting goes on from a checkpoint', async () => {
  await using host = closing(await createEngineHost({ entry, model }));
  const { engine } = host;
  const before = await ask(engine, [1, 2, 3]);
  const open = ask(engine, [1, 2, 3], { maxTokens: 200 });
  const killer = ask(engine, [13]);
  const scored = engine.score(Int32Array.of(1, 2));
  scored.catch(() => undefined);
  for (const { end } of await Promise.all([open, killer])) {
    expect(end).toMatchObject({ reason: 'failed', message: expect.stringContaining('ended by SIGKILL') });
  }
  await expect(engine.publish()).rejects.toMatchObject({ name: 'EngineError', boundary: 'engine' });
  expect(engine.alive).toBe(false);
  await engine.restart(model, policyVersion(3), 'fresh');
  const after = await ask(engine, [1, 2, 3]);
  expect(engine.version).toBe(3);
  expect(after.ids).toEqual(before.ids);
});

test('a model folder that cannot be opened is the same error as without a child', async () => {
  const opened = createEngineHost({ entry, model: join(directory, 'nowhere') });
  await expect(opened).rejects.toMatchObject({ boundary: 'checkpoint', message: /has no config.json/ });
});

test('a thousand requests at once come back each to its own stream', async () => {
  await using host = closing(await createEngineHost({ entry, model }));
  const prompts = Array.from({ length: 1000 }, (_, i) => [i % 12, (i >> 3) % 50, i % 50]);
  const all = await Promise.all(prompts.map((ids) => ask(host.engine, ids, { maxTokens: 3 })));
  const seen = new Map<string, readonly number[]>();
  all.forEach(({ ids, end }, i) => {
    expect(end.reason).toBe('length');
    const key = prompts[i]?.join() as string;
    expect(seen.get(key) ?? ids).toEqual(ids);
    seen.set(key, ids);
  });
  expect((await host.engine.statistics()).requests).toBe(1000);
});

test('aborting and leaving early reach the child', async () => {
  await using host = closing(await createEngineHost({ entry, model }));
  const controller = new AbortController();
  const aborted = ask(host.engine, [1, 2], { maxTokens: 250, signal: controller.signal });
  controller.abort();
  expect((await aborted).end).toMatchObject({ reason: 'failed', message: 'aborted by the caller' });
});

test('closing ends the child, and requests that were open with a failure', async () => {
  const engine = await createEngineHost({ entry, model });
  const open = ask(engine, [1, 2], { maxTokens: 250 });
  await engine.close();
  expect(engine.alive).toBe(false);
  expect((await open).end).toMatchObject({ reason: 'failed', message: 'the engine was closed' });
  expect((await ask(engine, [1, 2])).end.reason).toBe('failed');
});

test('the child ends when its parent is killed', async () => {
  const parent = spawn(process.execPath, [fileURLToPath(new URL('./engine-parent.ts', import.meta.url)), model], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [printed] = (await once(parent.stdout, 'data')) as [Buffer];
  const child = Number(printed.toString());
  expect(isRunning(child)).toBe(true);
  parent.kill('SIGKILL');
  while (isRunning(child)) await new Promise((resolve) => setTimeout(resolve, 10));
}, 20_000);

/** False for a process that ended, also when nobody has collected its status. */
function isRunning(processId: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${processId}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

function closing<T extends { close(): Promise<void> }>(engine: T) {
  return { engine, [Symbol.asyncDispose]: () => engine.close() };
}
