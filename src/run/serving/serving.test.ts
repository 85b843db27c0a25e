import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { policyVersion } from '../../core/ids.ts';
import type { GenerateEvent, GenerateRequest } from '../../engine/engine.ts';
import { type AccessOptions, readyLine, serverAccess } from './access.ts';
import { claimFolder, findServingFolder, servingConfig } from './folder.ts';
import { revivingSampler } from './reviving-sampler.ts';

const folder = mkdtempSync(join(tmpdir(), 'espalier-serving-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('who may use a server', () => {
  const key = '0123456789abcdef0123456789abcdef';
  const options: AccessOptions = { host: '127.0.0.1', port: 0, allowedHosts: [], key: null, adminKey: null };

  it.each([
    ['a public address without a key', { host: '0.0.0.0' }, '--host 0.0.0.0 can be reached from other machines'],
    ['another public one', { host: 'box.example' }, '--host box.example can be reached'],
    ['a short key', { key: 'short' }, '--key: a key needs at least 128'],
    ['a short admin key', { adminKey: 'short' }, '--admin-key: a key needs at least 128'],
    ['one key for both', { key, adminKey: key }, '--admin-key must differ'],
  ])('is nobody with %s', (_, given, says) => {
    expect(() => serverAccess({ ...options, ...given })).toThrow(says);
  });

  it('is whoever has the key, on any address', () => {
    for (const host of ['127.0.0.1', 'localhost', '::1', '127.9.9.9'])
      expect(serverAccess({ ...options, host }).key).toBeNull();
    const access = serverAccess({ ...options, host: '0.0.0.0', key });
    expect(access.adminKey.matches(access.newAdminKey)).toBe(true);
    expect(access.allowedHosts).toContain('127.0.0.1');
    expect(serverAccess({ ...options, adminKey: key }).newAdminKey).toBeNull();
  });

  it('learns of the keys that were made, in one line', () => {
    expect(readyLine('http://x/v1', { key: 'esp-a', admin: 'esp-b' })).toBe(
      'listening: http://x/v1  key: esp-a  admin: esp-b',
    );
    expect(readyLine('http://x/v1', { key: null, admin: null })).toBe('listening: http://x/v1');
  });
});

describe('a directory of recordings', () => {
  it('is of one model, and goes on with it', async () => {
    const where = join(folder, 'one');
    await claimFolder(findServingFolder('serve', where), { kind: 'serve', model: 'm', sha256: 'a' });
    expect(servingConfig(where)).toMatchObject({ kind: 'serve', model: 'm' });
    await claimFolder(findServingFolder('serve', where), { kind: 'serve', model: 'elsewhere/m', sha256: 'a' });
    await expect(
      claimFolder(findServingFolder('serve', where), { kind: 'serve', model: 'n', sha256: 'b' }),
    ).rejects.toThrow('holds turns of other weights (m): name another --run');
    expect(() => findServingFolder('proxy', where)).toThrow('holds what espalier serve recorded');
  });

  it('is none of a training run', () => {
    writeFileSync(join(folder, 'config.json'), '{ "formatVersion": 1 }');
    expect(() => findServingFolder('serve', folder)).toThrow('holds a run: name another --run');
    expect(servingConfig(folder)).toBeNull();
  });
});

describe('an engine that crashes', () => {
  /** Gives ids from 1 on, and crashes after each that `crashes` says. */
  function engineOf(crashes: number[]) {
    const seen: GenerateRequest[] = [];
    const engine = {
      alive: true,
      contextLength: 10,
      vocabSize: 10,
      seen,
      async *generate(request: GenerateRequest): AsyncGenerator<GenerateEvent> {
        seen.push(request);
        const piece = Float32Array.of(0);
        yield {
          type: 'tokens',
          ids: Int32Array.of(seen.length),
          logprobs: piece,
          entropies: piece,
          version: policyVersion(0),
        };
        engine.alive = crashes.shift() === undefined;
        yield engine.alive ? { type: 'end', reason: 'stop' } : { type: 'end', reason: 'failed', message: 'it crashed' };
      },
    };
    return engine;
  }
  const request = { ids: Int32Array.of(1), sampling: { temperature: 1, maxTokens: 5, stopIds: [] }, seed: 1n };
  const endOf = async (events: AsyncIterable<GenerateEvent>) => {
    let last: GenerateEvent | null = null;
    for await (const event of events) last = event;
    return last;
  };

  it('is started again, and the call goes on as after a pause, twice at most', async () => {
    const engine = engineOf([1, 2, 3]);
    let starts = 0;
    const sampler = revivingSampler(engine, async () => {
      starts++;
      engine.alive = true;
    });
    const call = { ...request, signal: new AbortController().signal };
    const ends = [];
    for (let i = 0; i < 4; i++) ends.push(await endOf(sampler.generate(call)));
    expect(ends).toMatchObject([{ reason: 'paused' }, { reason: 'paused' }, { reason: 'failed' }, { reason: 'stop' }]);
    expect(starts).toBe(3);
  });

  it('and does not start again is a failure of the call', async () => {
    const engine = engineOf([]);
    engine.alive = false;
    const sampler = revivingSampler(engine, () => Promise.reject(new Error('no memory')));
    expect(await endOf(sampler.generate(request))).toEqual({ type: 'end', reason: 'failed', message: 'no memory' });
    expect(engine.seen).toEqual([]);
  });
});
