/**
 * An index over the segments of a store: where records lie, and what is asked of all of them at once.
 *
 * Not the truth, and nobody's memory: it may be deleted at any time, and is built anew, by itself, when it is missing,
 * damaged, of another format, or of other segments than those that are there. What it finds is read from the segments,
 * and checked there.
 *
 * Invariants:
 * 1. SQLite runs in a thread of its own.
 * 2. Memory is that of a page of rows, or of one rollout, however long the record is.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { EspalierError, messageOf } from '../core/errors.ts';
import type { RolloutId } from '../core/ids.ts';
import { diskFiles } from '../store/disk-files.ts';
import { decodeFrame } from '../store/frame.ts';
import { listSegments, type SegmentName } from '../store/segment.ts';
import type { IndexAnswer, IndexQuery, IndexQuestion, IndexWorkerData } from './record-index/protocol.ts';
import type { BreakRow, IndexQueries, RecordFacts, RecordPlace, RolloutRow } from './record-index/queries.ts';
import type { Leaving, Outlived, SegmentKey } from './record-index/removal-queries.ts';
import { decodeRecord } from './records.ts';
import { RunIndex } from './run-index.ts';

export const indexPath = (storeDirectory: string): string => join(storeDirectory, 'index.sqlite');

/** A smaller store is indexed in memory: reading it takes less than a second, and nothing is written. */
const smallBytes = 32 << 20;
const rowsAPage = 500;

export interface RecordIndexOptions {
  /** Default: stores of 32 MiB and more. */
  readonly keep?: boolean;
}

export class RecordIndex {
  readonly #worker: Worker;
  readonly #directory: string;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #files = new Map<string, Promise<FileHandle>>();
  #segments: Promise<readonly SegmentName[]> | null = null;
  #questions = 0;
  #failure: EspalierError | null = null;

  private constructor(directory: string, path: string) {
    this.#directory = directory;
    const workerData: IndexWorkerData = { path, directory };
    this.#worker = new Worker(new URL('./record-index/worker.ts', import.meta.url), { workerData, execArgv: [] });
    this.#worker.on('message', (answer: IndexAnswer) => {
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if ('error' in answer) waiting?.reject(new EspalierError(answer.error.boundary, answer.error.message));
      else waiting?.resolve(answer.value);
    });
    this.#worker.on('error', (cause) => {
      const failure = new EspalierError('store', `the index of ${directory} failed: ${messageOf(cause)}`, { cause });
      this.#failure = failure;
      for (const { reject } of this.#waiting.values()) reject(failure);
      this.#waiting.clear();
    });
  }

  /** Up to date with what is durable now. Throws EspalierError('store') where a reader of the segments would. */
  static async open(storeDirectory: string, options: RecordIndexOptions = {}): Promise<RecordIndex> {
    const keep = options.keep ?? (await sizeOf(storeDirectory)) >= smallBytes;
    const index = new RecordIndex(storeDirectory, keep ? indexPath(storeDirectory) : ':memory:');
    try {
      await index.opened();
      return index;
    } catch (failure) {
      await index.#worker.terminate();
      throw failure;
    }
  }

  /** Frames that were read to bring it up to date, and why it was built anew, if it was. */
  opened(): Promise<{ readonly frames: number; readonly rebuilt: string | null }> {
    return this.#send('opened', []) as Promise<{ readonly frames: number; readonly rebuilt: string | null }>;
  }

  facts(): Promise<RecordFacts> {
    return this.#ask('facts');
  }

  countRollouts(under: string | null): Promise<{ readonly rollouts: number; readonly turns: number }> {
    return this.#ask('countRollouts', under);
  }

  /** Rollouts with a turn, in the order of their first ones: all, or that one and those below it. */
  async *rollouts(under: string | null): AsyncGenerator<RolloutRow> {
    yield* this.#pages((after) => this.#ask('rollouts', under, after, rowsAPage));
  }

  /** As in RemovalQueries. */
  recorded(under: string | null): Promise<string[]> {
    return this.#ask('recorded', under);
  }

  outlived(segments: readonly SegmentKey[], pinnedFrom: number | null): Promise<Outlived> {
    return this.#ask('outlived', segments, pinnedFrom);
  }

  leaving(rollouts: readonly string[], notes: boolean): Promise<Leaving> {
    return this.#ask('leaving', rollouts, notes);
  }

  /** In the order of the record. */
  async *breaks(under: string | null): AsyncGenerator<BreakRow> {
    yield* this.#pages((after) => this.#ask('breaks', under, after, rowsAPage));
  }

  /** One rollout's records, with the bodies of its messages. */
  async rollout(rollout: RolloutId): Promise<RunIndex> {
    const records = new RunIndex({ bodies: true });
    for (const place of await this.#ask('places', rollout)) {
      const { kind, payload } = await this.#read(place);
      records.apply(decodeRecord(kind, payload));
    }
    return records;
  }

  async close(): Promise<void> {
    await this.#send('close', []).catch(() => {});
    await this.#worker.terminate();
    for (const file of this.#files.values()) await (await file).close();
  }

  async *#pages<Row extends { readonly at: number }>(page: (after: number) => Promise<Row[]>): AsyncGenerator<Row> {
    for (let after = -1; ; ) {
      const rows = await page(after);
      yield* rows;
      const last = rows.at(-1);
      if (last === undefined || rows.length < rowsAPage) return;
      after = last.at;
    }
  }

  async #read({ writer, sequence, first, offset, bytes }: RecordPlace) {
    const path = await this.#pathOf(writer, first);
    let file = this.#files.get(path);
    if (file === undefined) {
      file = open(path, 'r');
      this.#files.set(path, file);
    }
    const buffer = new Uint8Array(bytes);
    await (await file).read(buffer, 0, bytes, offset);
    const decoded = decodeFrame(buffer, 0);
    if (decoded.status !== 'frame' || decoded.frame.sequence !== sequence || decoded.frame.writer !== writer) {
      throw new EspalierError('store', `${path} changed while it was read: try again`);
    }
    return decoded.frame;
  }

  async #pathOf(writer: number, first: number): Promise<string> {
    this.#segments ??= listSegments(diskFiles, this.#directory);
    const segment = (await this.#segments).find((one) => one.writer === writer && one.firstSequence === first);
    if (segment === undefined)
      throw new EspalierError('store', `${this.#directory} changed while it was read: try again`);
    return segment.path;
  }

  #ask<Q extends IndexQuery>(name: Q, ...args: Parameters<IndexQueries[Q]>): Promise<ReturnType<IndexQueries[Q]>> {
    return this.#send(name, args) as Promise<ReturnType<IndexQueries[Q]>>;
  }

  #send(name: IndexQuestion['name'], args: readonly unknown[]): Promise<unknown> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const question: IndexQuestion = { id: this.#questions++, name, args };
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(question.id, waiting);
    this.#worker.postMessage(question);
    return waiting.promise;
  }
}

async function sizeOf(directory: string): Promise<number> {
  let bytes = 0;
  for (const { path } of await listSegments(diskFiles, directory)) bytes += (await diskFiles.stat(path)).sizeBytes;
  return bytes;
}
