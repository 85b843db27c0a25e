/**
 * The store's promise on a disk that loses and reorders whatever was not synced, at 1,000 random moments.
 *
 * A store has several lives. In each a process opens it, appends, and now and then removes frames, until it is
 * killed at a random change to the disk; then power fails, or not. Whoever opens it next must find every acknowledged
 * frame as it was, nothing that was never appended, and of a removal all or nothing; and an index that has grown through
 * all of it must be the one that is built anew.
 *
 * Covered: the store on its file layer, directory entries included. Not covered: real disks (kill-stores.ts).
 */
import type { DatabaseSync } from 'node:sqlite';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Random, seedOf } from '../../src/core/random.ts';
import type { StoreFiles } from '../../src/store/files.ts';
import { decodePayload, encodePayload } from '../../src/store/payload.ts';
import { readFrames } from '../../src/store/reader.ts';
import { StoreWriter } from '../../src/store/writer.ts';
import { openIndex } from '../../src/trajectory/record-index/database.ts';
import { tableNames } from '../../src/trajectory/record-index/schema.ts';
import { updateIndex } from '../../src/trajectory/record-index/update.ts';
import { LossyDisk } from './lossy-disk.ts';

/** More of them, and others, with ESPALIER_CRASHES=10000 ESPALIER_SEED=... vitest run test/durability/power-loss.test.ts */
const crashes = Number(process.env['ESPALIER_CRASHES'] ?? 1000);
const livesAStore = 4;
const stores = crashes / livesAStore;
const directory = '/run/store';
const seed = process.env['ESPALIER_SEED'] ?? 'power-loss';

/** Frames are told apart by their text: no two have the same. */
interface Ledger {
  readonly appended: Set<string>;
  readonly acknowledged: Map<string, number>;
  readonly removed: Set<string>;
  /** A removal that is under way. */
  removing: readonly string[];
}

describe('a disk that loses what was not synced', () => {
  it(`has lost no acknowledged frame after ${crashes} crashes`, async () => {
    const counts = { kills: 0, cuts: 0, removals: 0, acknowledged: 0 };
    for (let store = 0; store < stores; store++) {
      const random = new Random(seedOf(seed, store));
      const disk = new LossyDisk();
      const ledger: Ledger = { appended: new Set(), acknowledged: new Map(), removed: new Set(), removing: [] };
      using index = new KeptIndex();
      for (let life = 0; life < livesAStore; life++) {
        const { files, died } = disk.process(random.below(60));
        const living = live(files, ledger, random);
        const failure = await Promise.race([died, living.catch((thrown: unknown) => thrown)]);
        if (random.chance(0.3)) counts.kills++;
        else {
          disk.powerFails(random);
          counts.cuts++;
        }
        const after = disk.process().files;
        const found = await textsOf(after).catch((thrown: unknown) => thrown);
        const where = `ESPALIER_SEED=${seed}, store ${store}, life ${life}`;
        expect([where, failure ?? '', found instanceof Map ? problems(found, ledger) : found]).toEqual([where, '', []]);
        if (random.chance(0.7)) continue;
        const rows = await index.rowsAfter(after);
        if (!isDeepStrictEqual(rows.grown, rows.anew)) expect([where, rows.grown]).toEqual([where, rows.anew]);
      }
      counts.acknowledged += ledger.acknowledged.size + ledger.removed.size;
      if (ledger.removed.size > 0) counts.removals++;
    }
    expect(counts.kills + counts.cuts).toBe(crashes);
    expect(counts.cuts).toBeGreaterThan(crashes / 2);
    expect(counts.acknowledged).toBeGreaterThan(5 * crashes);
    expect(counts.removals).toBeGreaterThan(stores / 5);
  }, 600_000);
});

/** Survives all crashes, as a file of its own would. */
class KeptIndex implements Disposable {
  #database: DatabaseSync | null = null;

  async rowsAfter(files: StoreFiles): Promise<{ readonly grown: unknown; readonly anew: unknown }> {
    const anew = (await openIndex(':memory:', files, directory)).database;
    const known = this.#database;
    const isCurrent = known !== null && (await updateIndex(known, files, directory)).stale === null;
    if (!isCurrent) this.#database = (await openIndex(':memory:', files, directory)).database;
    const rows = { grown: rowsOf(this.#database as DatabaseSync), anew: rowsOf(anew) };
    anew.close();
    if (!isCurrent) known?.close();
    return rows;
  }

  [Symbol.dispose](): void {
    this.#database?.close();
  }
}

const rowsOf = (database: DatabaseSync) => tableNames.map((name) => database.prepare(`SELECT * FROM ${name}`).all());

/** Never ends by itself. */
async function live(files: StoreFiles, ledger: Ledger, random: Random): Promise<never> {
  const store = await StoreWriter.open(directory, { files, segmentBytes: random.between(60, 600) });
  // What a process finds it builds on: it counts as acknowledged.
  const found = await textsOf(files);
  for (const text of ledger.removing) if (!found.has(text)) forget(ledger, text);
  ledger.removing = [];
  for (const [text, sequence] of found) ledger.acknowledged.set(text, sequence);
  for (;;) {
    const batch = Array.from({ length: random.between(1, 5) }, async () => {
      const text = `${ledger.appended.size} ${String(random.next()).repeat(random.below(9))}`;
      ledger.appended.add(text);
      ledger.acknowledged.set(
        text,
        await store.append('note', encodePayload({ fields: { note: { text } }, arrays: {} })),
      );
    });
    await Promise.all(batch);
    if (random.chance(0.2)) {
      ledger.removing = [...ledger.acknowledged.keys()].filter(() => random.chance(0.3));
      const condemned = new Set(ledger.removing.map((text) => ledger.acknowledged.get(text)));
      await store.remove(({ sequence }) => condemned.has(sequence), 'erased');
      for (const text of ledger.removing) forget(ledger, text);
      ledger.removing = [];
    }
  }
}

function forget(ledger: Ledger, text: string): void {
  ledger.acknowledged.delete(text);
  ledger.removed.add(text);
}

async function textsOf(files: StoreFiles): Promise<Map<string, number>> {
  const texts = new Map<string, number>();
  for await (const { kind, payload, sequence } of readFrames(directory, files)) {
    if (kind === 'note') texts.set((decodePayload(payload).fields['note'] as { text: string }).text, sequence);
  }
  return texts;
}

function problems(found: ReadonlyMap<string, number>, ledger: Ledger): string[] {
  const removing = new Set(ledger.removing);
  const gone = ledger.removing.filter((text) => !found.has(text));
  return [
    ...[...ledger.acknowledged].flatMap(([text, sequence]) =>
      found.get(text) === sequence || removing.has(text) ? [] : [`lost: ${sequence} ${text}`],
    ),
    ...[...found.keys()].flatMap((text) => (ledger.appended.has(text) ? [] : [`never appended: ${text}`])),
    ...[...found.keys()].flatMap((text) => (ledger.removed.has(text) ? [`back again: ${text}`] : [])),
    ...(gone.length === 0 || gone.length === removing.size ? [] : [`half removed: ${gone.length} of ${removing.size}`]),
  ];
}
