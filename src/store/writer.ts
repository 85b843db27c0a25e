/**
 * The appending end of a store directory.
 *
 * Not a database: no index and no update; frames leave only by remove(). Views are built by whoever reads.
 *
 * Invariants:
 * 1. append() resolves only when its frame, and every frame before it, is durable (written and fdatasync'ed, and the
 *    segment's directory entry too).
 * 2. Appends of one tick, and those that come while a sync is under way, share one write and one sync.
 * 3. After a failed write or sync nothing is accepted until ready() has cut what failed. Frames that were refused are
 *    then gone, and their sequence numbers are given again.
 * 4. Sequences continue the chain that was found; a torn tail is cut before the first append, and reported. What was
 *    found is synced first, since a writer that was killed may have left it to the page cache.
 */
import { EspalierError } from '../core/errors.ts';
import { diskFailure, isPassing } from './disk-failure.ts';
import { diskFiles } from './disk-files.ts';
import { type AppendFile, type DirectoryLock, errorCode, type StoreFiles } from './files.ts';
import { encodeFrame, type FrameKind, maxFramesAWrite } from './frame.ts';
import { type OpenReport, openChain } from './opening.ts';
import { type Condemned, type Removal, removeFrames } from './remove.ts';
import { type RemovalReason, segmentPath } from './segment.ts';

export interface StoreOptions {
  /** Number of this writer's chain. Default 1. */
  readonly writer?: number;
  /** A segment that has reached this size is followed by a new one. Default 32 MiB. */
  readonly segmentBytes?: number;
  /** Default: the real ones. */
  readonly files?: StoreFiles;
}

interface Pending {
  readonly sequence: number;
  readonly bytes: Uint8Array;
  readonly resolve: (sequence: number) => void;
  readonly reject: (failure: EspalierError) => void;
}

/** The segment that is appended to. */
interface Segment {
  readonly path: string;
  /** Durable bytes; what the file has beyond them was refused. */
  size: number;
  /** null until it is first written, and after a failure. */
  file: AppendFile | null;
}

export class StoreWriter {
  readonly directory: string;
  readonly report: OpenReport;
  readonly #writer: number;
  readonly #segmentBytes: number;
  readonly #files: StoreFiles;
  readonly #lock: DirectoryLock;
  #segment: Segment | null;
  #nextSequence: number;
  #durableSequence: number;
  #pending: Pending[] = [];
  #flushing: Promise<void> | null = null;
  #failure: EspalierError | null = null;
  #recovering: Promise<void> | null = null;
  #closed = false;

  private constructor(
    directory: string,
    report: OpenReport,
    last: Segment | null,
    lock: DirectoryLock,
    options: StoreOptions,
  ) {
    this.directory = directory;
    this.report = report;
    this.#segment = last;
    this.#lock = lock;
    this.#writer = options.writer ?? 1;
    this.#segmentBytes = options.segmentBytes ?? 32 << 20;
    this.#files = options.files ?? diskFiles;
    this.#nextSequence = report.nextSequence;
    this.#durableSequence = report.nextSequence;
  }

  /**
   * Creates the directory when it is not there. Throws EspalierError('store') when another writer has it open, when
   * something but the tail is damaged, or when it cannot be written.
   */
  static async open(directory: string, options: StoreOptions = {}): Promise<StoreWriter> {
    const files = options.files ?? diskFiles;
    await files.makeDirectory(directory).catch((cause: unknown) => {
      throw diskFailure(`cannot create ${directory}`, cause);
    });
    const lock = files.lock(directory);
    try {
      const { report, last } = await openChain(files, directory, options.writer ?? 1);
      const segment = last === null ? null : { ...last, file: null };
      return new StoreWriter(directory, report, segment, lock, options);
    } catch (failure) {
      lock.release();
      throw failure instanceof EspalierError ? failure : diskFailure(`cannot open ${directory}`, failure);
    }
  }

  /**
   * Resolves with the frame's sequence when it is durable. `parts` are joined to one payload and copied at once.
   *
   * Rejects with EspalierError('store'); from then on every append does, until ready() has resolved.
   */
  append(kind: FrameKind, ...parts: readonly Uint8Array[]): Promise<number> {
    if (this.#closed) return Promise.reject(new EspalierError('store', `${this.directory} is closed`));
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const sequence = this.#nextSequence++;
    const place = this.#pending.length % maxFramesAWrite;
    const bytes = encodeFrame(kind, { writer: this.#writer, sequence, place }, parts);
    return new Promise((resolve, reject) => {
      this.#pending.push({ sequence, bytes, resolve, reject });
      this.#flushing ??= this.#flush();
    });
  }

  /** Why nothing is accepted, or null. */
  get failure(): EspalierError | null {
    return this.#failure;
  }

  /**
   * Resolves when appends are accepted; after a failure that can pass (a full disk, one that is read-only) it looks
   * whether it has. Rejects with the failure that is still there.
   */
  async ready(): Promise<void> {
    if (this.#failure === null) return;
    if (this.#closed || !isPassing(this.#failure.cause)) throw this.#failure;
    this.#recovering ??= this.#recover().finally(() => {
      this.#recovering = null;
    });
    await this.#recovering;
  }

  /** Waits for what was appended, then gives the directory back. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.#flushing;
      await this.#recovering?.catch(() => {});
      await this.#segment?.file?.close();
    } finally {
      this.#lock.release();
    }
  }

  /**
   * Removes frames from all segments, those of other writers too: all of them or, when it rejects, perhaps none. Nobody
   * may append until it has resolved.
   */
  async remove(condemned: Condemned, why: RemovalReason): Promise<Removal> {
    await this.ready();
    await this.#flushing;
    await this.#segment?.file?.close();
    // The next append begins a segment of its own: its name is the sequence that comes next.
    this.#segment = null;
    return removeFrames(this.#files, this.directory, condemned, why);
  }

  async #flush(): Promise<void> {
    // Later appends of this tick belong to the first write.
    await new Promise(setImmediate);
    while (this.#pending.length > 0) {
      const frames = this.#pending.splice(0, maxFramesAWrite);
      try {
        await this.#write(frames);
        for (const { resolve, sequence } of frames) resolve(sequence);
      } catch (cause) {
        this.#failure = diskFailure(`cannot write ${this.#segment?.path ?? this.directory}`, cause);
        for (const { reject } of [...frames, ...this.#pending]) reject(this.#failure);
        this.#pending = [];
      }
    }
    this.#flushing = null;
  }

  async #write(frames: readonly Pending[]): Promise<void> {
    const first = (frames[0] as Pending).sequence;
    const segment = await this.#segmentFor(first);
    const bytes = frames.length === 1 ? (frames[0] as Pending).bytes : Buffer.concat(frames.map((each) => each.bytes));
    segment.file ??= await this.#openSegment(segment.path);
    await segment.file.append(bytes);
    await segment.file.sync();
    segment.size += bytes.length;
    this.#durableSequence = first + frames.length;
  }

  async #segmentFor(sequence: number): Promise<Segment> {
    if (this.#segment !== null && this.#segment.size < this.#segmentBytes) return this.#segment;
    await this.#segment?.file?.close();
    this.#segment = this.#newSegment(sequence);
    return this.#segment;
  }

  #newSegment(sequence: number): Segment {
    return { path: segmentPath(this.directory, this.#writer, sequence), size: 0, file: null };
  }

  async #openSegment(path: string): Promise<AppendFile> {
    const file = await this.#files.open(path);
    await this.#files.syncDirectory(this.directory).catch(async (failure: unknown) => {
      await file.close();
      throw failure;
    });
    return file;
  }

  /** Back to the last acknowledged frame, if the disk takes something behind it. */
  async #recover(): Promise<void> {
    const segment = this.#segment ?? this.#newSegment(this.#durableSequence);
    try {
      // Closing may tell once more of the write that failed.
      await segment.file?.close().catch(() => {});
      segment.file = null;
      await this.#cut(segment);
      segment.file = await this.#openSegment(segment.path);
      await segment.file.append(new Uint8Array(probeBytes));
      await segment.file.sync();
      await this.#cut(segment);
    } catch (cause) {
      this.#failure = diskFailure(`cannot write ${segment.path}`, cause);
      throw this.#failure;
    }
    this.#segment = segment;
    this.#nextSequence = this.#durableSequence;
    this.#failure = null;
  }

  async #cut({ path, size }: Segment): Promise<void> {
    await this.#files.truncate(path, size).catch((cause: unknown) => {
      if (size > 0 || errorCode(cause) !== 'ENOENT') throw cause;
    });
  }
}

/** Room that a disk must have before anything is accepted again: a full disk lets a file be cut, and takes no turn. */
const probeBytes = 64 << 10;
