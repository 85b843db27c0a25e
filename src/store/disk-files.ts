/** The real file system, by way of libuv's threads: the event loop never waits for a disk, but for taking a lock. */
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type AppendFile, errorCode, type StoreFiles } from './files.ts';
import { lockDirectory } from './lock.ts';

export const diskFiles: StoreFiles = {
  list: (directory) =>
    readdir(directory).catch((cause: unknown) => {
      if (errorCode(cause) === 'ENOENT') return null;
      throw cause;
    }),
  makeDirectory: async (path) => {
    const first = (await mkdir(path, { recursive: true })) ?? path;
    for (let parent = dirname(path); ; parent = dirname(parent)) {
      await syncDirectory(parent);
      if (parent.length <= dirname(first).length) return;
    }
  },
  syncDirectory,
  read: (path) => readFile(path),
  open: async (path) => appending(await open(path, 'a')),
  truncate: async (path, size) => {
    await using file = await open(path, 'r+');
    await file.truncate(size);
    await file.sync();
  },
  rename,
  remove: (path) => rm(path),
  stat: async (path) => {
    const { size, mtimeMs, ino, ctimeNs } = await stat(path, { bigint: true });
    return { sizeBytes: Number(size), modifiedMs: Number(mtimeMs), identity: `${ino} ${ctimeNs}` };
  },
  setModifiedMs: (path, milliseconds) => utimes(path, milliseconds / 1000, milliseconds / 1000),
  lock: lockDirectory,
};

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}

function appending(file: FileHandle): AppendFile {
  return {
    append: async (bytes) => {
      for (let written = 0; written < bytes.length; ) {
        written += (await file.write(bytes, written, bytes.length - written)).bytesWritten;
      }
    },
    sync: () => file.datasync(),
    close: () => file.close(),
  };
}
