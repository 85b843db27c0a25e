/**
 * The record of one run: opened, replayed into an index, appended to.
 *
 * Invariants:
 * 1. A record is in the index only when it is durable, so what the index says survives any crash.
 * 2. A message is written once a run, before the first turn that names it.
 */
import { join } from 'node:path';
import type { EspalierError } from '../core/errors.ts';
import type { OpenReport } from '../store/opening.ts';
import { readFrames } from '../store/reader.ts';
import { type StoreOptions, StoreWriter } from '../store/writer.ts';
import type { MessageBlock } from './canonical.ts';
import {
  decodeRecord,
  encodeRecord,
  type MessageRecord,
  type RemovedRecord,
  type RunRecord,
  type SessionRecord,
  type TurnRecord,
} from './records.ts';
import { RunIndex, type RunIndexOptions } from './run-index.ts';

/** Where a run directory keeps its records. */
export const storeDirectory = (runDirectory: string): string => join(runDirectory, 'store');

/** Told of turns: for figures, never for decisions. */
export interface TurnObserver {
  /** It is durable. */
  turn(record: TurnRecord): void;
  /** It could not be recorded. */
  dropped(): void;
}

export interface JournalOptions extends StoreOptions, Partial<RunIndexOptions> {
  readonly observer?: TurnObserver;
}

type PlainRecord = Exclude<RunRecord, TurnRecord | MessageRecord | RemovedRecord>;

export class Journal {
  readonly index: RunIndex;
  readonly #store: StoreWriter;
  readonly #observer: TurnObserver | undefined;
  /** Blocks that are on their way to the disk: the next turn may name them already, as it follows them in the chain. */
  readonly #sent = new Set<string>();

  private constructor(store: StoreWriter, index: RunIndex, observer: TurnObserver | undefined) {
    this.#store = store;
    this.#observer = observer;
    this.index = index;
  }

  /** Creates what is missing. Throws EspalierError('store'): in use, damaged, not writable. */
  static async open(runDirectory: string, options: JournalOptions = {}): Promise<Journal> {
    const store = await StoreWriter.open(storeDirectory(runDirectory), options);
    try {
      const index = new RunIndex({ bodies: options.bodies ?? false });
      for await (const frame of readFrames(store.directory, options.files))
        index.apply(decodeRecord(frame.kind, frame.payload));
      return new Journal(store, index, options.observer);
    } catch (failure) {
      await store.close();
      throw failure;
    }
  }

  /** What opening found; a torn tail that was cut is worth a line to the user. */
  get report(): OpenReport {
    return this.#store.report;
  }

  /**
   * Resolves when the disk takes records, and looks again whether it does after it was full. Rejects with
   * EspalierError('store'): what is made for the record now would be made in vain.
   */
  ready(): Promise<void> {
    return this.#store.ready();
  }

  /** Why nothing is recorded now, or null. */
  get failure(): EspalierError | null {
    return this.#store.failure;
  }

  /** Resolves when the record is durable and in the index. Rejects with EspalierError('store'). */
  async append(record: PlainRecord): Promise<void> {
    await this.#send(record);
  }

  /**
   * Writes a session down, before any turn that is sent later. What it gives resolves when that is durable; after a
   * failure it writes it again.
   */
  announce(session: SessionRecord): () => Promise<void> {
    let written: Promise<void> | null = null;
    const write = (): Promise<void> => {
      written ??= this.append(session).catch((failure: unknown) => {
        written = null;
        throw failure;
      });
      return written;
    };
    write().catch(() => undefined);
    return write;
  }

  /** A turn and the message blocks that it names. Resolves when all are durable. */
  async appendTurn(turn: TurnRecord, blocks: readonly MessageBlock[]): Promise<void> {
    const sent: Promise<void>[] = [];
    for (const { key, body } of blocks) {
      if (this.index.hasMessage(key) || this.#sent.has(key)) continue;
      this.#sent.add(key);
      sent.push(this.#send({ type: 'message', key, body }).finally(() => this.#sent.delete(key)));
    }
    sent.push(this.#send(turn));
    try {
      await Promise.all(sent);
    } catch (failure) {
      this.#observer?.dropped();
      throw failure;
    }
    this.#observer?.turn(turn);
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  async #send(record: RunRecord): Promise<void> {
    const { kind, payload } = encodeRecord(record);
    await this.#store.append(kind, payload);
    this.index.apply(record);
  }
}
