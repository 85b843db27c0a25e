/** What `erase` and `prune` take out of a run, and what they leave. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RecordedSession, user, writeRecordedRun } from '../../test/recorded-session.ts';
import { groupId, policyVersion, rolloutId } from '../core/ids.ts';
import { sessionIdOf } from '../proxy/sessions.ts';
import { Journal, storeDirectory } from '../trajectory/journal.ts';
import { indexPath, RecordIndex } from '../trajectory/record-index.ts';
import type { ManifestRecord } from '../trajectory/records.ts';
import { readRun } from '../trajectory/run-index.ts';
import { eraseRun } from './erase.ts';
import { exportRun } from './export.ts';
import { inspectRun } from './inspect.ts';
import { RecordView } from './ledger.ts';
import { pruneRun } from './prune.ts';
import { claimFolder } from './serving/folder.ts';

const group = groupId('batch/0', 0);
const [first, second, third] = [0, 1, 2].map((index) => new RecordedSession(rolloutId(group, index))) as [
  RecordedSession,
  RecordedSession,
  RecordedSession,
];
const secret = 'the name of the customer';
const shared = { role: 'system' as const, content: 'a prompt that all share' };
const dayMs = 86_400_000;
const oldMs = 1_700_000_000_000;

let folder = '';
let original = '';
let run = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-removal-'));
  original = join(folder, 'original');
  first.ask([shared, user('a')], 'one');
  const reply = second.ask([shared, user(secret)], 'two');
  second.ask([shared, user(secret), reply, user('more')], secret);
  third.ask([shared, user('c')], 'three');
  await writeRecordedRun(original, [], []);
  // A segment for each session and its outcome.
  for (const session of [first, second, third]) {
    const journal = await Journal.open(original, { segmentBytes: 1 });
    const blocks = new Set(session.blocks);
    await Promise.all(session.turns.map((turn) => journal.appendTurn(turn, [...blocks])));
    await journal.append(session.outcome({ reward: 0.5 }));
    await journal.close();
  }
  writeFileSync(join(original, 'summary.json'), '{}');
  writeFileSync(join(original, 'report.html'), secret);
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  run = join(folder, 'run');
  await cp(original, run, { recursive: true });
});
afterEach(() => rm(run, { recursive: true, force: true }));

const recorded = () => readRun(storeDirectory(run));
const everything = (of: string) =>
  readdirSync(of, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('');

async function appendManifest(step: number, session: RecordedSession): Promise<void> {
  const journal = await Journal.open(run);
  const groups = [{ group, task: 0, rollouts: [session.rollout], rewards: [1] }];
  const manifest: ManifestRecord = { type: 'manifest', step, version: policyVersion(step), groups, details: {} };
  await journal.append(manifest);
  await journal.close();
}

describe('erasing a session', () => {
  it('leaves no trace of what it said in any file, and all of what others did', async () => {
    const kept = await RecordIndex.open(storeDirectory(run), { keep: true });
    await kept.close();
    expect(everything(run)).toContain(secret);
    expect(existsSync(indexPath(storeDirectory(run)))).toBe(true);
    const before = await recorded();

    const said = await eraseRun(run, { session: second.rollout });
    expect(said).toMatch(
      /^erased 2 turns of 1 sessions: \d+ records, [\d,]+ bytes, from \d+ segments\nreport\.html is gone/,
    );
    expect(everything(run)).not.toContain(secret);
    const after = await recorded();
    expect(after.rollouts()).toEqual([first.rollout, third.rollout]);
    for (const { rollout } of [first, third]) expect(after.turns(rollout)).toEqual(before.turns(rollout));
    const text = await inspectRun(run, { rollout: first.rollout, json: false });
    expect(text).toContain(shared.content);
    expect(await inspectRun(run, { json: false })).toMatch(/\d+ records erased\n/);
    // The chain goes on where it was.
    const journal = await Journal.open(run);
    await journal.append({ type: 'note', note: {} });
    await journal.close();
    expect((await recorded()).removedCount).toBe(before.turnCount - after.turnCount + 1 + 4);
  });

  it('takes its id in the URL, a path above it, and names the copies that it does not reach', async () => {
    const out = join(folder, 'copy.jsonl');
    const options = { format: 'samples', per: 'trajectory', redact: false, out } as const;
    await exportRun(run, { ...options, rollout: first.rollout });
    expect(await eraseRun(run, { session: sessionIdOf(second.rollout) })).not.toContain(out);
    expect(await eraseRun(run, { session: 'batch/0' })).toMatch(
      new RegExp(`erased 2 turns of 2 sessions.*\\nnot reached: ${out} \\(samples, exported 2`),
    );
    expect((await recorded()).rollouts()).toEqual([]);
    await expect(eraseRun(run, { session: 'batch/1' })).rejects.toThrow(/--session batch\/1: no such session in/);
  });

  it('without an id erases all that was said', async () => {
    await appendManifest(0, first);
    await eraseRun(run, {});
    const after = await recorded();
    expect([after.turnCount, after.outcomes.size, after.manifests.length]).toEqual([0, 0, 1]);
    expect(everything(storeDirectory(run))).not.toMatch(/share|customer/);
    expect(() => new RecordView(after).turns(first.rollout)).toThrow(/is no longer in the record/);
    expect(await eraseRun(run, {})).toBe(`${run} holds nothing of any session`);
  });

  it('is refused while somebody writes', async () => {
    const writer = new URL('../store/writer.ts', import.meta.url).href;
    const script = `import { StoreWriter } from ${JSON.stringify(writer)};
      await StoreWriter.open(${JSON.stringify(storeDirectory(run))}); console.log('open'); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    await expect(eraseRun(run, {})).rejects.toThrow(/is open in another process: end that one/);
    await expect(pruneRun(run, { keepBytes: 0, withBatches: false, dryRun: false })).rejects.toThrow(
      /is open in another/,
    );
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect((await recorded()).turnCount).toBe(4);
  });
});

describe('retention', () => {
  const all = { withBatches: false, dryRun: false };

  function age(): void {
    const names = readdirSync(storeDirectory(run))
      .filter((name) => name.endsWith('.segment'))
      .sort();
    for (const [i, name] of names.entries()) {
      utimesSync(join(storeDirectory(run), name), oldMs / 1000 + i, oldMs / 1000 + i);
    }
  }

  it('removes rollouts whose segments are too old, never the last segment, and keeps what others name', async () => {
    age();
    const now = oldMs + 2 * dayMs;
    const dry = await pruneRun(run, { ...all, olderThanMs: dayMs, dryRun: true }, now);
    expect(dry).toMatch(/^would remove 3 turns of 2 rollouts, from \d+ segments$/);
    expect((await recorded()).turnCount).toBe(4);
    expect(await pruneRun(run, { ...all, olderThanMs: 3 * dayMs }, now)).toMatch(/^nothing to remove/);
    expect(await pruneRun(run, { ...all, olderThanMs: dayMs }, now)).toMatch(/^removed 3 turns of 2 rollouts/);
    const after = await recorded();
    expect(after.rollouts()).toEqual([third.rollout]);
    expect(await inspectRun(run, { rollout: third.rollout, json: false })).toContain(shared.content);
    expect(everything(storeDirectory(run))).not.toContain(secret);
  });

  it('removes the oldest ones until the rest is small enough', async () => {
    age();
    const index = await recorded();
    expect(index.turnCount).toBe(4);
    const sizes = readdirSync(storeDirectory(run)).map((name) => readFileSync(join(storeDirectory(run), name)).length);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    await pruneRun(run, { ...all, keepBytes: total });
    expect((await recorded()).turnCount).toBe(4);
    const said = await pruneRun(run, { ...all, keepBytes: Math.round(total * 0.6) });
    expect(said).toMatch(/^removed \d turns? of 1 rollouts/);
    expect((await recorded()).rollouts()).toEqual([second.rollout, third.rollout]);
  });

  it('keeps what a replay needs unless it is asked, and a run that is not finished whole', async () => {
    await appendManifest(0, second);
    age();
    const old = { olderThanMs: 0, dryRun: false };
    expect(await pruneRun(run, { ...old, withBatches: false })).toMatch(/kept 1 rollouts that recorded batches need/);
    const view = new RecordView(await recorded());
    expect(view.turns(second.rollout)).toHaveLength(2);
    expect(() => view.turns(first.rollout)).toThrow(/outlived its retention/);
    expect(await pruneRun(run, { ...old, withBatches: true })).toMatch(/^removed 2 turns of 1 rollouts/);
    await rm(join(run, 'summary.json'));
    await expect(pruneRun(run, { ...old, withBatches: false })).rejects.toThrow(/is not finished/);
  });

  it('of a server pins only what its newest checkpoint has not learned', async () => {
    const served = join(folder, 'served');
    await cp(storeDirectory(run), storeDirectory(served), { recursive: true });
    await claimFolder({ path: served, known: null }, { kind: 'serve', model: 'm', sha256: 's' });
    run = served;
    await appendManifest(4, first);
    await appendManifest(5, second);
    await cp(join(original, 'checkpoints', '0'), join(served, 'checkpoints', '5'), { recursive: true });
    age();
    expect(await pruneRun(served, { ...all, olderThanMs: 0 })).toMatch(/kept 1 rollouts/);
    expect((await recorded()).rollouts()).not.toContain(first.rollout);
    expect((await recorded()).rollouts()).toContain(second.rollout);
  });

  it('asks for a limit', async () => {
    await expect(pruneRun(run, all)).rejects.toThrow(/give --older-than, --keep-bytes, or both/);
  });
});
