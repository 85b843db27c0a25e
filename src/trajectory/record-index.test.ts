import { existsSync, openSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { cp, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RecordedSession, user } from '../../test/recorded-session.ts';
import { groupId, policyVersion, rolloutId } from '../core/ids.ts';
import { Random, seedOf } from '../core/random.ts';
import { diskFiles } from '../store/disk-files.ts';
import { listSegments } from '../store/segment.ts';
import { StoreWriter } from '../store/writer.ts';
import { Journal, storeDirectory } from './journal.ts';
import { openIndex } from './record-index/database.ts';
import { indexFormat, recordAt, tableNames } from './record-index/schema.ts';
import { indexPath, RecordIndex } from './record-index.ts';
import { readRun } from './run-index.ts';

const sessions = Array.from({ length: 6 }, (_, i) => new RecordedSession(rolloutId(groupId('batch/0', i >> 1), i & 1)));
for (const [i, session] of sessions.entries()) {
  const reply = session.ask([user(`question ${i}`)], 'one');
  session.ask([user(`question ${i}`), reply, user('more')], 'two');
  if (i % 2 === 0) session.ask([user(`question ${i}`), reply, user('other')], 'three');
  if (i === 3) session.ask([user('a title')], 'Title');
}

let folder = '';
let run = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-index-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(() => {
  run = join(folder, 'run');
});
afterEach(() => rm(run, { recursive: true, force: true }));

const rowsOf = (database: DatabaseSync) => tableNames.map((name) => database.prepare(`SELECT * FROM ${name}`).all());

async function rowsAt(path: string) {
  const { database, frames, rebuilt } = await openIndex(path, diskFiles, storeDirectory(run));
  const rows = rowsOf(database);
  database.close();
  return { rows, frames, rebuilt };
}

async function all<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const gathered: T[] = [];
  for await (const row of rows) gathered.push(row);
  return gathered;
}

async function record(journal: Journal, session: RecordedSession): Promise<void> {
  const { rollout } = session;
  await journal.append({ type: 'session', rollout, temperature: 1, maxTokensPerTurn: 9, seed: '1', trainable: true });
  for (const turn of session.turns) await journal.appendTurn(turn, session.blocks);
  await journal.append(session.outcome({ reward: 0.25 }));
}

describe('an index that grows with its record', () => {
  it('has the rows of one that is built anew, whatever happens to the segments', async () => {
    const seed = process.env['ESPALIER_SEED'] ?? 'grows';
    for (let history = 0; history < 8; history++) {
      const random = new Random(seedOf(seed, history));
      const kept = join(folder, `kept-${history}.sqlite`);
      const left = [...sessions];
      for (let step = 0; left.length > 0; step++) {
        const writer = random.between(1, 2);
        const journal = await Journal.open(run, { writer, segmentBytes: random.between(300, 4000) });
        for (const session of left.splice(0, random.between(1, 3))) await record(journal, session);
        if (random.chance(0.3)) {
          const groups = [
            { group: groupId('batch/0', 0), task: 1, rollouts: sessions.map((s) => s.rollout), rewards: [] },
          ];
          await journal.append({ type: 'manifest', step, version: policyVersion(step), groups, details: {} });
        }
        await journal.close();
        const tail = (await listSegments(diskFiles, storeDirectory(run))).at(-1)?.path ?? '';
        const what = random.below(3);
        if (what === 1) truncateSync(tail, statSync(tail).size - random.below(20));
        if (what === 2) {
          const store = await StoreWriter.open(storeDirectory(run));
          await store.remove(() => random.chance(0.2), 'erased');
          await store.close();
        }
        if (random.chance(0.7)) {
          const grown = await rowsAt(kept);
          expect(grown.rows, `ESPALIER_SEED=${seed}, history ${history}, step ${step}`).toEqual(
            (await rowsAt(':memory:')).rows,
          );
          expect((await rowsAt(kept)).frames).toBe(0);
        }
      }
      await rm(run, { recursive: true, force: true });
    }
  });

  it('reads only what is new', async () => {
    const kept = join(folder, 'new.sqlite');
    const journal = await Journal.open(run, { segmentBytes: 500 });
    await record(journal, sessions[0] as RecordedSession);
    const before = await rowsAt(kept);
    await journal.append({ type: 'note', note: { about: 'one more' } });
    const after = await rowsAt(kept);
    expect([before.frames > 5, after.frames, after.rebuilt]).toEqual([true, 1, null]);
    await journal.close();
  });
});

describe('an index that is not what it should be', () => {
  const spoil: readonly (readonly [string, (path: string) => void])[] = [
    ['was deleted', (path) => rmSync(path)],
    ['is empty', (path) => truncateSync(path, 0)],
    ['is no database', (path) => writeFileSync(path, 'this is a text that somebody put here\n'.repeat(300))],
    ['was cut', (path) => truncateSync(path, 8192)],
    [
      'has a page of noise',
      (path) => void writeSync(openSync(path, 'r+'), Buffer.alloc(4096, 0xa5), 0, 4096, 4096 * 3),
    ],
    ['is of a newer format', (path) => new DatabaseSync(path).exec(`PRAGMA user_version = ${indexFormat + 1}`)],
    ['has other tables', (path) => new DatabaseSync(path).exec('DROP TABLE turn; CREATE TABLE turn (at INTEGER)')],
  ];

  it.each(spoil)('since it %s, is built anew by itself', async (_, change) => {
    const journal = await Journal.open(run, { segmentBytes: 2000 });
    for (const session of sessions) await record(journal, session);
    await journal.close();
    const path = indexPath(storeDirectory(run));
    const index = await RecordIndex.open(storeDirectory(run), { keep: true });
    const facts = await index.facts();
    await index.close();
    expect(facts.turns).toBe(sessions.reduce((sum, { turns }) => sum + turns.length, 0));
    change(path);
    const again = await RecordIndex.open(storeDirectory(run), { keep: true });
    expect(await again.facts()).toEqual(facts);
    expect((await again.opened()).frames).toBeGreaterThan(20);
    await again.close();
    expect((await rowsAt(path)).rows).toEqual((await rowsAt(':memory:')).rows);
  });

  it('since a segment was replaced by another one of the same size, is built anew', async () => {
    const journal = await Journal.open(run);
    await record(journal, sessions[0] as RecordedSession);
    await journal.close();
    const kept = join(folder, 'replaced.sqlite');
    await rowsAt(kept);
    await rename(run, join(folder, 'aside'));
    // Another session of the same length under the same sequences.
    const other = await Journal.open(run);
    await other.append({ type: 'note', note: { about: 'something else' } });
    await record(other, sessions[2] as RecordedSession);
    await other.close();
    const result = await rowsAt(kept);
    expect(result.rebuilt).toMatch(/is another than the one that was indexed/);
    expect(result.rows).toEqual((await rowsAt(':memory:')).rows);
    await rm(join(folder, 'aside'), { recursive: true });
  });

  it('since its directory was copied, is used when the segments are the same', async () => {
    const journal = await Journal.open(run);
    await record(journal, sessions[0] as RecordedSession);
    await journal.close();
    const kept = join(folder, 'copied.sqlite');
    await rowsAt(kept);
    await cp(run, join(folder, 'copy'), { recursive: true });
    await rm(run, { recursive: true });
    await rename(join(folder, 'copy'), run);
    const { frames, rebuilt, rows } = await rowsAt(kept);
    expect([frames, rebuilt]).toEqual([0, null]);
    expect(rows).toEqual((await rowsAt(':memory:')).rows);
  });
});

describe('what an index answers', () => {
  it('is what the records say, read one by one', async () => {
    const journal = await Journal.open(run, { segmentBytes: 700 });
    for (const session of sessions) await record(journal, session);
    await journal.close();
    const index = await RecordIndex.open(storeDirectory(run));
    const records = await readRun(storeDirectory(run));
    const rows = await all(index.rollouts(null));
    expect(rows.map(({ rollout }) => rollout)).toEqual(records.rollouts());
    for (const { rollout } of sessions) {
      const turns = records.turns(rollout);
      const row = rows.find((one) => one.rollout === rollout);
      const last = turns.at(-1);
      expect(row).toMatchObject({
        turns: turns.length,
        sampledTokens: turns.reduce((sum, { completion }) => sum + completion.length, 0),
        promptTokens: (last?.reused ?? 0) + (last?.tail.length ?? 0),
        outcome: { status: 'completed' },
        reward: 0.25,
        solved: null,
      });
      const one = await index.rollout(rollout);
      expect(one.turns(rollout)).toEqual(turns);
      for (const turn of turns) expect(one.messageBody(turn.reply)).toBe(records.messageBody(turn.reply));
    }
    const breaks = records
      .rollouts()
      .flatMap((rollout) => records.turns(rollout).filter((turn) => turn.break !== null));
    expect((await all(index.breaks(null))).map(({ rollout, turn, cause }) => [rollout, turn, cause])).toEqual(
      breaks.map((turn) => [turn.rollout, turn.index, turn.break?.cause]),
    );
    const { value } = await index.rollouts('batch/0/group/1').next();
    expect(value).toMatchObject({ rollout: sessions[2]?.rollout });
    expect(await index.countRollouts('batch/0/group/1')).toEqual({ rollouts: 2, turns: 6 });
    expect(recordAt(9999, 2 ** 39 - 1)).toBeLessThan(Number.MAX_SAFE_INTEGER);
    await index.close();
    expect(existsSync(indexPath(storeDirectory(run)))).toBe(false);
  });

  it('is one state of the record, while others bring it up to date or find that they cannot', async () => {
    const journal = await Journal.open(run);
    await record(journal, sessions[0] as RecordedSession);
    const index = await RecordIndex.open(storeDirectory(run), { keep: true });
    expect((await index.facts()).turns).toBe(3);
    await record(journal, sessions[1] as RecordedSession);
    const other = await RecordIndex.open(storeDirectory(run), { keep: true });
    expect([(await other.facts()).turns, (await index.facts()).turns]).toEqual([5, 3]);
    await Promise.all([index.close(), other.close(), journal.close()]);
  });

  it('tells of damage as a reader would', async () => {
    const journal = await Journal.open(run, { segmentBytes: 300 });
    await record(journal, sessions[0] as RecordedSession);
    await journal.close();
    const path = (await listSegments(diskFiles, storeDirectory(run)))[0]?.path ?? '';
    const bytes = readFileSync(path);
    bytes[30] = (bytes[30] as number) ^ 1;
    writeFileSync(path, bytes);
    await expect(RecordIndex.open(storeDirectory(run))).rejects.toThrow(`${path} is damaged at byte 0`);
  });
});
