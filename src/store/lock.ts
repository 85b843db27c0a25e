/**
 * One writer a directory. The lock is the kernel's (through SQLite's file lock), so it ends with the process that
 * holds it, however that ends; there is no stale lock file to remove by hand.
 */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { EspalierError } from '../core/errors.ts';
import type { DirectoryLock } from './files.ts';

/** Throws EspalierError('store') when another writer, in this process or another, has the directory open. */
export function lockDirectory(directory: string): DirectoryLock {
  const path = join(directory, 'lock');
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    database.exec('BEGIN EXCLUSIVE');
    const held = database;
    return { release: () => held.close() };
  } catch (cause) {
    database?.close();
    const busy = cause instanceof Error && /locked|busy/i.test(cause.message);
    const reason = busy
      ? `${directory} is open in another process: end that one, or use another run directory`
      : `cannot lock ${path}: ${cause instanceof Error ? cause.message : String(cause)}; the directory must be writable`;
    throw new EspalierError('store', reason, { cause });
  }
}
