/**
 * What the store needs of a file system, and no more.
 *
 * Durable means: there after power failed. What is only written, made, renamed or removed may be there afterwards or
 * not, each on its own and in any order, until the file, or the directory that names it, was synced.
 *
 * Every method rejects with the system's error, its `code` included.
 */
export interface StoreFiles {
  /** Names of a directory's files, in no order. null when there is no such directory. */
  list(directory: string): Promise<readonly string[] | null>;
  /** With the parents that are missing. Durable, down to the first parent that was there. */
  makeDirectory(path: string): Promise<void>;
  /** What was done in a directory before (made, renamed, removed) is durable after. */
  syncDirectory(path: string): Promise<void>;
  read(path: string): Promise<Uint8Array>;
  /** For appending. Makes an empty file when there is none. */
  open(path: string): Promise<AppendFile>;
  /** Cuts a file to `size` bytes. Durable. */
  truncate(path: string, size: number): Promise<void>;
  /** Replaces `to` when it is there: whoever looks sees the one or the other. */
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  stat(path: string): Promise<FileFacts>;
  setModifiedMs(path: string, milliseconds: number): Promise<void>;
  /** Throws EspalierError('store') when another process, or this one, holds it. */
  lock(directory: string): DirectoryLock;
}

export interface FileFacts {
  readonly sizeBytes: number;
  /** Time of the last change of its bytes, milliseconds since 1970. */
  readonly modifiedMs: number;
  /** Another one after any change, and for another file of that name. */
  readonly identity: string;
}

/** Calls of one file never overlap. */
export interface AppendFile {
  /** Writes all of `bytes` at the end. After a failure any part of them may be there. */
  append(bytes: Uint8Array): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Ends with its process, however that ends. */
export interface DirectoryLock {
  release(): void;
}

export const errorCode = (cause: unknown): string | undefined => (cause as NodeJS.ErrnoException | null)?.code;
