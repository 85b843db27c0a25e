/**
 * A run that is stopped and killed ends as if nothing had happened; `node scripts/kill-resume.ts` does the same at twenty moments.
 *
 * Covered: the process dies at any moment and the machine does not. Not covered: lost power; what is on disk then is the
 * store's and the checkpoints' own affair (src/store, src/engine/durable-directory.ts).
 */
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random, seedOf } from '../../src/core/random.ts';
import type { RunIndex } from '../../src/trajectory/run-index.ts';
import { type Ended, espalier, makeWorkplace, rowsOf } from './run-fixture.ts';
import { differences, lostTurns, momentOf, randomMoment, recordOf, type Stopped, stopWhen } from './run-kill.ts';

const kills = 3;
const seed = process.env['ESPALIER_TEST_SEED'] ?? String(Date.now());
const patience = 600_000;

let folder = '';
let whole = '';
let broken = '';
let undisturbed: Ended;
let interrupted: Stopped;
let resumed: Ended;
const killed: { readonly stopped: Stopped; readonly record: RunIndex }[] = [];

beforeAll(async () => {
  console.log(`moments of run-resume: ESPALIER_TEST_SEED=${seed}`);
  const random = new Random(seedOf('kill', seed));
  folder = await makeWorkplace();
  [whole, broken] = [join(folder, 'whole'), join(folder, 'broken')];
  undisturbed = await espalier(folder, 'train', '--run', 'whole');
  interrupted = await stopWhen(
    folder,
    ['train', '--run', 'broken'],
    'SIGINT',
    momentOf(broken, whole, 'store', random.next() / 2),
  );
  const resume = ['train', '--resume', '--run', 'broken'];
  for (let kill = 0; kill < kills; kill++) {
    const stopped = await stopWhen(folder, resume, 'SIGKILL', randomMoment(broken, whole, random), random.below(50));
    killed.push({ stopped, record: await recordOf(broken) });
  }
  resumed = await espalier(folder, ...resume);
}, patience);
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a run', () => {
  it('ends by itself, having learned from what it was rewarded for', () => {
    expect(undisturbed).toMatchObject({ code: 0, stderr: '' });
    expect(rowsOf(whole, 'metrics.jsonl').length).toBeGreaterThanOrEqual(3);
  });

  it('stops cleanly at Ctrl-C and says how to go on', () => {
    expect(interrupted).toMatchObject({ code: 130, signal: null, stderr: '', orphans: [] });
    expect(interrupted.stdout).toMatch(/\nstopped; go on with: .*espalier.* train --resume --run broken\n$/);
  });

  it('loses no turn that was on disk when it was killed, and leaves no engine behind', async () => {
    const final = await recordOf(broken);
    for (const { stopped, record } of killed) {
      expect(stopped).toMatchObject({ orphans: [], stderr: '' });
      expect(lostTurns(record, final)).toEqual([]);
    }
  });

  it('ends after all that as if nothing had happened', async () => {
    expect(resumed).toMatchObject({ code: 0, stderr: '' });
    expect(await differences(broken, whole)).toEqual([]);
  });

  it(
    'is left as it is by another --resume',
    async () => {
      const before = filesOf(broken);
      expect(await espalier(folder, 'train', '--resume', '--run', 'broken')).toMatchObject({ code: 0, stderr: '' });
      expect(Object.keys(filesOf(broken))).toEqual(Object.keys(before));
      expect(filesOf(broken)).toEqual(before);
    },
    patience,
  );

  function filesOf(run: string): Record<string, string> {
    const names = ['config.json', 'metrics.jsonl', 'eval.jsonl', 'summary.json', 'store/0001-000000000000.segment'];
    return Object.fromEntries(names.map((name) => [name, readFileSync(join(run, name)).toString('base64')]));
  }
});
