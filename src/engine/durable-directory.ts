/**
 * A directory that appears whole or not at all: written beside its place, flushed to the disk, renamed.
 *
 * Invariant: a crash at any moment leaves the old directory, the new one, or (between two renames) the old one under
 * `<directory>.old`; never a mixture.
 */
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { EspalierError, messageOf } from '../core/errors.ts';

export interface DurableFile {
  readonly name: string;
  readonly pieces: readonly Uint8Array[];
}

/** Replaces a directory that is there. Throws a `checkpoint` error, and leaves no temporary directory behind. */
export async function writeDurableDirectory(path: string, files: readonly DurableFile[]): Promise<void> {
  const directory = resolve(path);
  const temporary = `${directory}.tmp`;
  const old = `${directory}.old`;
  try {
    await mkdir(dirname(directory), { recursive: true });
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary);
    for (const file of files) await writeFlushed(join(temporary, file.name), file.pieces);
    await flush(temporary);
    await rm(old, { recursive: true, force: true });
    await rename(directory, old).catch(ignoreMissing);
    await rename(temporary, directory);
    await flush(dirname(directory));
    await rm(old, { recursive: true, force: true });
  } catch (cause) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    const full = (cause as NodeJS.ErrnoException).code === 'ENOSPC';
    const wayOut = full ? 'the disk is full: free some space and run again' : 'check that it can be written';
    throw new EspalierError('checkpoint', `cannot write ${directory} (${messageOf(cause)}); ${wayOut}`, { cause });
  }
}

async function writeFlushed(path: string, pieces: readonly Uint8Array[]): Promise<void> {
  await using file = await open(path, 'wx');
  for (const piece of pieces) {
    for (let done = 0; done < piece.length; ) {
      const { bytesWritten } = await file.write(piece, done, piece.length - done);
      done += bytesWritten;
    }
  }
  await file.sync();
}

async function flush(directory: string): Promise<void> {
  await using handle = await open(directory, 'r');
  await handle.sync();
}

function ignoreMissing(thrown: unknown): void {
  if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown;
}
