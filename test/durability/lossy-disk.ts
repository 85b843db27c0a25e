/**
 * A disk that keeps what was synced and nothing else for sure: the store's files in memory, for tests of crashes.
 *
 * When power fails, each part of each write that no sync followed is there or not, on its own: later ones may survive
 * earlier ones, and what is missing in between reads as zeros. So are names: a file that was made, renamed or removed
 * and whose directory was not synced may be back under its old name, or gone. Cuts and renames are whole or not at all.
 *
 * Covered: lost and reordered writes, torn writes, directory entries, a process that is killed and leaves everything to
 * the page cache, full and read-only disks. Not covered: a disk that lies about a sync, and bits that rot.
 */
import { basename, dirname } from 'node:path';
import type { Random } from '../../src/core/random.ts';
import type { AppendFile, DirectoryLock, FileFacts, StoreFiles } from '../../src/store/files.ts';

/** Bytes that are written together; small, so that a frame spans several. */
const sectorBytes = 16;

type Change = { readonly at: number; readonly bytes: Uint8Array } | { readonly cutTo: number };
/** Does something with the disk, unless its process is dead. */
type Doing = <T>(work: () => T) => Promise<T>;
/** What became of names together: null for a name that is gone. */
type Entry = ReadonlyMap<string, Inode | null>;

class Inode {
  readonly id: number;
  synced: Uint8Array = new Uint8Array(0);
  bytes: Uint8Array = new Uint8Array(0);
  unsynced: Change[] = [];
  changes = 0;
  modifiedMs = 0;

  constructor(id: number) {
    this.id = id;
  }

  change(change: Change): void {
    this.bytes = changed(this.bytes, change);
    this.unsynced.push(change);
    this.changes++;
  }

  sync(): void {
    this.synced = this.bytes;
    this.unsynced = [];
  }

  lose(random: Random, keep: number): void {
    let left = this.synced;
    for (const change of this.unsynced) {
      for (const part of 'bytes' in change ? sectors(change) : [change]) {
        if (random.chance(keep)) left = changed(left, part);
      }
    }
    this.bytes = left;
    this.sync();
  }
}

class Directory {
  synced = new Map<string, Inode>();
  names = new Map<string, Inode>();
  unsynced: Entry[] = [];

  change(entries: Entry): void {
    apply(this.names, entries);
    this.unsynced.push(entries);
  }

  sync(): void {
    this.synced = new Map(this.names);
    this.unsynced = [];
  }

  lose(random: Random, keep: number): void {
    const left = new Map(this.synced);
    for (const entries of this.unsynced) if (random.chance(keep)) apply(left, entries);
    this.names = left;
    this.sync();
  }
}

export class LossyDisk {
  readonly #directories = new Map<string, Directory>();
  readonly #locked = new Set<string>();
  #inodes = 0;
  #life = 0;
  #stepsLeft = Number.POSITIVE_INFINITY;
  #die: () => void = () => {};
  /** Bytes that all files may have together. */
  capacityBytes = Number.POSITIVE_INFINITY;
  readOnly = false;
  /** Changes and syncs that were asked for. */
  steps = 0;

  /**
   * The files of a process that dies at its change number `steps`, counted from 0, if it comes to that: the change is
   * made, and nobody is ever told. Syncs count, too, and are not made.
   */
  process(steps = Number.POSITIVE_INFINITY): { readonly files: StoreFiles; readonly died: Promise<void> } {
    const life = ++this.#life;
    this.#locked.clear();
    this.#stepsLeft = steps;
    const died = new Promise<void>((resolve) => {
      this.#die = resolve;
    });
    return { files: this.#files(life), died };
  }

  /** What a kill leaves stays; this takes away what was not synced, and whoever still runs is dead. */
  powerFails(random: Random): void {
    this.#life++;
    this.#locked.clear();
    // All, nothing, and everything between.
    const keep = random.chance(0.2) ? 0 : random.chance(0.2) ? 1 : random.next();
    const inodes = new Set<Inode>();
    for (const directory of this.#directories.values()) {
      for (const inode of [...directory.synced.values(), ...directory.names.values()]) inodes.add(inode);
      directory.lose(random, keep);
    }
    for (const inode of inodes) inode.lose(random, keep);
  }

  usedBytes(): number {
    return [...this.#directories.values()]
      .flatMap(({ names }) => [...names.values()])
      .reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  #files(life: number): StoreFiles {
    const look: Doing = (work) => this.#do(life, 'look', work);
    const change: Doing = (work) => this.#do(life, 'change', work);
    const sync: Doing = (work) => this.#do(life, 'sync', work);
    const open = async (path: string): Promise<AppendFile> => {
      const inode = await this.#openInode(path, look, change);
      return {
        append: (bytes) => change(() => this.#append(inode, bytes)),
        sync: () => sync(() => inode.sync()),
        close: () => look(() => undefined),
      };
    };
    return {
      list: (path) => look(() => (this.#directories.has(path) ? [...this.#directory(path).names.keys()] : null)),
      makeDirectory: (path) =>
        change(() => {
          if (!this.#directories.has(path)) this.#directories.set(path, new Directory());
        }),
      syncDirectory: (path) => sync(() => this.#directory(path).sync()),
      read: (path) => look(() => Uint8Array.from(this.#inode(path).bytes)),
      open,
      truncate: (path, size) =>
        change(() => {
          const inode = this.#inode(path);
          this.#checkWritable();
          inode.change({ cutTo: size });
        }).then(() => sync(() => this.#inode(path).sync())),
      rename: (from, to) =>
        change(() => {
          this.#checkWritable();
          const entries = new Map([
            [basename(from), null],
            [basename(to), this.#inode(from)],
          ] as const);
          this.#directory(dirname(from)).change(entries);
        }),
      remove: (path) =>
        change(() => {
          this.#inode(path);
          this.#directory(dirname(path)).change(new Map([[basename(path), null]]));
        }),
      stat: (path) => look(() => this.#stat(path)),
      setModifiedMs: (path, milliseconds) =>
        change(() => {
          this.#inode(path).modifiedMs = milliseconds;
        }),
      lock: (path) => this.#lock(path, life),
    };
  }

  async #openInode(path: string, look: Doing, change: Doing): Promise<Inode> {
    const known = this.#directory(dirname(path)).names.get(basename(path));
    if (known !== undefined) return look(() => known);
    return change(() => {
      this.#checkWritable();
      const inode = new Inode(++this.#inodes);
      this.#directory(dirname(path)).change(new Map([[basename(path), inode]]));
      return inode;
    });
  }

  /** A process that died is never told anything again. */
  #do<T>(life: number, what: 'look' | 'change' | 'sync', work: () => T): Promise<T> {
    const never = new Promise<T>(() => {});
    if (life !== this.#life || this.#stepsLeft < 0) return never;
    if (what !== 'look') {
      this.steps++;
      if (this.#stepsLeft-- === 0) {
        if (what === 'change') attempt(work);
        this.#die();
        return never;
      }
    }
    return new Promise((resolve) => resolve(work()));
  }

  #append(inode: Inode, bytes: Uint8Array): void {
    this.#checkWritable();
    const room = Math.max(0, this.capacityBytes - this.usedBytes());
    inode.change({ at: inode.bytes.length, bytes: bytes.slice(0, room) });
    if (room < bytes.length) throw failure('ENOSPC', 'no space left on device');
  }

  #checkWritable(): void {
    if (this.readOnly) throw failure('EROFS', 'read-only file system');
  }

  #stat(path: string): FileFacts {
    const { id, bytes, changes, modifiedMs } = this.#inode(path);
    return { sizeBytes: bytes.length, modifiedMs, identity: `${id} ${changes}` };
  }

  #lock(path: string, life: number): DirectoryLock {
    if (this.#locked.has(path)) throw new Error(`${path} is locked`);
    this.#locked.add(path);
    return { release: () => void (life === this.#life && this.#locked.delete(path)) };
  }

  #directory(path: string): Directory {
    const directory = this.#directories.get(path);
    if (directory === undefined) throw failure('ENOENT', `no such directory: ${path}`);
    return directory;
  }

  #inode(path: string): Inode {
    const inode = this.#directory(dirname(path)).names.get(basename(path));
    if (inode === undefined) throw failure('ENOENT', `no such file: ${path}`);
    return inode;
  }
}

function changed(bytes: Uint8Array, change: Change): Uint8Array {
  if ('cutTo' in change) {
    const cut = new Uint8Array(change.cutTo);
    cut.set(bytes.subarray(0, change.cutTo));
    return cut;
  }
  const grown = new Uint8Array(Math.max(bytes.length, change.at + change.bytes.length));
  grown.set(bytes);
  grown.set(change.bytes, change.at);
  return grown;
}

function sectors({ at, bytes }: Extract<Change, { bytes: Uint8Array }>): Change[] {
  const parts: Change[] = [];
  for (let start = 0; start < bytes.length; ) {
    const end = Math.min(bytes.length, start + sectorBytes - ((at + start) % sectorBytes));
    parts.push({ at: at + start, bytes: bytes.subarray(start, end) });
    start = end;
  }
  return parts;
}

function apply(names: Map<string, Inode>, entries: Entry): void {
  for (const [name, inode] of entries) {
    if (inode === null) names.delete(name);
    else names.set(name, inode);
  }
}

function attempt(work: () => unknown): void {
  try {
    work();
  } catch {
    // The dead are not told.
  }
}

const failure = (code: string, message: string): Error => Object.assign(new Error(`${code}: ${message}`), { code });
