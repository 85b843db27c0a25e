/**
 * The appending end of a store directory.
 *
 * Not a database: no index, no update, no delete. Views are built by whoever reads.
 *
 * Invariants:
 * 1. append() resolves only when its frame, and every frame before it, is durable (written and fdatasync'ed, and the
 *    segment's directory entry too).
 * 2. Appends of one tick, and those that come while a sync is under way, share one write and one sync.
 * 3. After a failed write or sync nothing more is accepted, since what is on disk is unknown until the next opening.
 * 4. Sequences continue the chain that was found; a torn tail is cut before the first append, and reported.
 */
import { type FileHandle, mkdir, open, readFile, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EspalierError, messageOf } from '../core/errors.ts';
import { encodeFrame, type FrameKind } from './frame.ts';
import { type DirectoryLock, lockDirectory } from './lock.ts';
import { framesOf, listSegments, type SegmentEnd, type SegmentName, segmentPath } from './segment.ts';

/** What the writer needs of a file that it appends to. Tests give one that fails. */
export interface AppendFile {
  /** Writes all of `bytes` at the end. */
  append(bytes: Uint8Array): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface StoreOptions {
  /** Number of this writer's chain. Default 1. */
  readonly writer?: number;
  /** A segment that has reached this size is followed by a new one. Default 32 MiB. */
  readonly segmentBytes?: number;
  readonly openFile?: (path: string) => Promise<AppendFile>;
}

/** What opening found. */
export interface OpenReport {
  readonly nextSequence: number;
  /** The torn tail that was cut, or null. */
  readonly cut: {
    readonly path: string;
    readonly offset: number;
    readonly bytes: number;
    readonly reason: string;
  } | null;
}

interface Pending {
  readonly sequence: number;
  readonly bytes: Uint8Array;
  readonly resolve: (sequence: number) => void;
  readonly reject: (failure: EspalierError) => void;
}

interface Segment {
  readonly path: string;
  readonly file: AppendFile;
  size: number;
}

export class StoreWriter {
  readonly directory: string;
  readonly report: OpenReport;
  readonly #writer: number;
  readonly #segmentBytes: number;
  readonly #openFile: (path: string) => Promise<AppendFile>;
  readonly #lock: DirectoryLock;
  #segment: Segment | null = null;
  #nextSequence: number;
  #pending: Pending[] = [];
  #flushing: Promise<void> | null = null;
  #failure: EspalierError | null = null;
  #closed = false;

  private constructor(directory: string, report: OpenReport, lock: DirectoryLock, options: StoreOptions) {
    this.directory = directory;
    this.report = report;
    this.#lock = lock;
    this.#writer = options.writer ?? 1;
    this.#segmentBytes = options.segmentBytes ?? 32 << 20;
    this.#openFile = options.openFile ?? openAppendFile;
    this.#nextSequence = report.nextSequence;
  }

  /**
   * Creates the directory when it is not there. Throws EspalierError('store') when another writer has it open, when
   * something but the tail is damaged, or when it cannot be written.
   */
  static async open(directory: string, options: StoreOptions = {}): Promise<StoreWriter> {
    await mkdir(directory, { recursive: true }).catch((cause: unknown) => {
      throw storeFailure(`cannot create ${directory}`, cause);
    });
    await syncDirectory(dirname(directory));
    const lock = lockDirectory(directory);
    try {
      const chain = (await listSegments(directory)).filter((segment) => segment.writer === (options.writer ?? 1));
      const last = chain.at(-1);
      if (last === undefined) return new StoreWriter(directory, { nextSequence: 0, cut: null }, lock, options);
      const { end, bytes } = await endOf(last);
      if (end.torn !== null) await cutTail(last.path, end.offset);
      const cut =
        end.torn === null ? null : { path: last.path, offset: end.offset, bytes: bytes - end.offset, reason: end.torn };
      const store = new StoreWriter(directory, { nextSequence: end.nextSequence, cut }, lock, options);
      store.#segment = { path: last.path, file: await store.#openFile(last.path), size: end.offset };
      return store;
    } catch (failure) {
      lock.release();
      throw failure instanceof EspalierError ? failure : storeFailure(`cannot open ${directory}`, failure);
    }
  }

  /**
   * Resolves with the frame's sequence when it is durable. `parts` are joined to one payload and copied at once.
   *
   * Rejects with EspalierError('store'); from then on every append does.
   */
  append(kind: FrameKind, ...parts: readonly Uint8Array[]): Promise<number> {
    if (this.#closed) return Promise.reject(new EspalierError('store', `${this.directory} is closed`));
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const sequence = this.#nextSequence++;
    const bytes = encodeFrame(kind, this.#writer, sequence, parts);
    return new Promise((resolve, reject) => {
      this.#pending.push({ sequence, bytes, resolve, reject });
      this.#flushing ??= this.#flush();
    });
  }

  /** Waits for what was appended, then gives the directory back. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.#flushing;
      await this.#segment?.file.close();
    } finally {
      this.#lock.release();
    }
  }

  async #flush(): Promise<void> {
    // Later appends of this tick belong to the first batch.
    await new Promise(setImmediate);
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      try {
        await this.#write(batch);
        for (const { resolve, sequence } of batch) resolve(sequence);
      } catch (cause) {
        this.#failure = storeFailure(`cannot write ${this.#segment?.path ?? this.directory}`, cause);
        for (const { reject } of [...batch, ...this.#pending]) reject(this.#failure);
        this.#pending = [];
      }
    }
    this.#flushing = null;
  }

  async #write(batch: readonly Pending[]): Promise<void> {
    const segment = await this.#segmentFor(batch[0]?.sequence ?? this.#nextSequence);
    const bytes =
      batch.length === 1 ? (batch[0] as Pending).bytes : Buffer.concat(batch.map((pending) => pending.bytes));
    await segment.file.append(bytes);
    await segment.file.sync();
    segment.size += bytes.length;
  }

  async #segmentFor(sequence: number): Promise<Segment> {
    if (this.#segment !== null && this.#segment.size < this.#segmentBytes) return this.#segment;
    await this.#segment?.file.close();
    const path = segmentPath(this.directory, this.#writer, sequence);
    this.#segment = { path, file: await this.#openFile(path), size: 0 };
    await syncDirectory(this.directory);
    return this.#segment;
  }
}

async function endOf(segment: SegmentName): Promise<{ end: SegmentEnd; bytes: number }> {
  const bytes = await readFile(segment.path);
  const frames = framesOf(bytes, segment, true);
  for (;;) {
    const step = frames.next();
    if (step.done) return { end: step.value, bytes: bytes.length };
  }
}

async function cutTail(path: string, offset: number): Promise<void> {
  await truncate(path, offset);
  const file = await open(path, 'r+');
  await file.sync().finally(() => file.close());
}

async function openAppendFile(path: string): Promise<AppendFile> {
  const handle = await open(path, 'a');
  return {
    append: (bytes) => appendAll(handle, bytes),
    sync: () => handle.datasync(),
    close: () => handle.close(),
  };
}

async function appendAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await handle.write(bytes, written, bytes.length - written)).bytesWritten;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  await directory.sync().finally(() => directory.close());
}

function storeFailure(what: string, cause: unknown): EspalierError {
  const code = (cause as NodeJS.ErrnoException | null)?.code;
  const wayOut =
    code === 'ENOSPC' || code === 'EDQUOT'
      ? 'the disk is full; free space, then resume the run'
      : code === 'EROFS' || code === 'EACCES' || code === 'EPERM'
        ? 'the place is not writable; choose another run directory'
        : 'nothing after the last acknowledged record is kept; resume the run when the disk works';
  return new EspalierError('store', `${what}: ${messageOf(cause)}: ${wayOut}`, { cause });
}
