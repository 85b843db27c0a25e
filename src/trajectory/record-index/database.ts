/**
 * The file of an index: opened, brought up to the segments, and made anew when it is not what it should be.
 *
 * Invariant: whatever lies at its path, a usable index comes of it; what cannot be used is deleted, never mended.
 */
import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { messageOf } from '../../core/errors.ts';
import type { StoreFiles } from '../../store/files.ts';
import { indexFormat, tables } from './schema.ts';
import { updateIndex } from './update.ts';

export interface OpenedIndex {
  readonly database: DatabaseSync;
  /** Frames that were read to bring it up to date. */
  readonly frames: number;
  /** Why what was there could not be used, or null: there was none, or it could be. */
  readonly rebuilt: string | null;
}

/**
 * `path` may be ':memory:', which is also taken where the file cannot be written, or somebody reads it. Throws EspalierError('store') where a
 * reader of the segments would.
 */
export async function openIndex(path: string, files: StoreFiles, directory: string): Promise<OpenedIndex> {
  let rebuilt: string | null = null;
  for (;;) {
    let database: DatabaseSync | null = null;
    try {
      database = connect(path);
      const { frames, stale } = await updateIndex(database, files, directory);
      if (stale === null) return { database, frames, rebuilt };
      rebuilt = stale;
    } catch (failure) {
      database?.close();
      database = null;
      if (path !== ':memory:' && isUnwritable(failure)) return openIndex(':memory:', files, directory);
      // An index that was just made and fails again would fail for ever.
      if (!isUnusable(failure) || rebuilt !== null) throw failure;
      rebuilt = messageOf(failure);
    }
    database?.close();
    removeIndex(path);
  }
}

/** Nobody needs it: the next one who asks builds another. */
export function removeIndex(path: string): void {
  for (const suffix of ['', '-journal', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true });
}

/** Throws what SQLite throws when the file is no index of this format, or not whole. */
function connect(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 2000 });
  try {
    const version = versionOf(database);
    if (version === 0) {
      database.exec('BEGIN IMMEDIATE');
      // Another process may have made it in between.
      if (versionOf(database) === 0) database.exec(`${tables} PRAGMA user_version = ${indexFormat}`);
      database.exec('COMMIT');
      return database;
    }
    if (version !== indexFormat) throw new IndexFault(`it has format ${version}, and ${indexFormat} is read here`);
    const { quick_check: check } = database.prepare('PRAGMA quick_check(1)').get() as { quick_check: string };
    if (check !== 'ok') throw new IndexFault(check);
    return database;
  } catch (failure) {
    database.close();
    throw failure;
  }
}

const versionOf = (database: DatabaseSync): number =>
  (database.prepare('PRAGMA user_version').get() as { user_version: number }).user_version;

class IndexFault extends Error {}

/** SQLite's result codes: https://sqlite.org/rescode.html */
const unusable = { error: 1, corrupt: 11, schema: 17, constraint: 19, mismatch: 20, notADatabase: 26 };
const unwritable = { permission: 3, busy: 5, readOnly: 8, inputOutput: 10, full: 13, cannotOpen: 14 };

const isOf = (codes: Readonly<Record<string, number>>, thrown: unknown): boolean => {
  const code = (thrown as { readonly errcode?: unknown } | null)?.errcode;
  return typeof code === 'number' && Object.values(codes).includes(code & 0xff);
};

/** It is no index, a damaged one, or one with other tables: not the fault of the segments. */
export const isUnusable = (thrown: unknown): boolean => thrown instanceof IndexFault || isOf(unusable, thrown);
const isUnwritable = (thrown: unknown): boolean => isOf(unwritable, thrown);
