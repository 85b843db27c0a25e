/** Fifty new versions under eight agents; `scripts/weight-updates.ts` has as many as you like. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { updateUnderAgents } from './weight-updates.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-updates-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('agents at work notice no new weights, and every token says which ones sampled it', {
  timeout: 300_000,
}, async () => {
  const { wrong, failures, calls, turns, versions, mixedTurns } = await updateUnderAgents({
    folder,
    updates: 50,
    agents: 8,
  });
  expect({ wrong, failures }).toEqual({ wrong: [], failures: [] });
  expect(turns).toBe(calls);
  expect(versions).toBe(51);
  expect(mixedTurns).toBeGreaterThan(8);
});
