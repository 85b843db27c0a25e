/**
 * A run's records in memory, by rollout and by step: rebuilt from the store at any time.
 *
 * Not a cache that may differ from the store: apply() is the only way in, and replay goes the same way.
 */
import type { RolloutId } from '../core/ids.ts';
import { readFrames } from '../store/reader.ts';
import {
  decodeRecord,
  type ManifestRecord,
  type OutcomeRecord,
  type RunRecord,
  type SessionRecord,
  type TurnRecord,
  type VerdictRecord,
  type VersionRecord,
} from './records.ts';

export interface RunIndexOptions {
  /** Keep the bodies of messages, for transcripts. Without, only their keys. */
  readonly bodies: boolean;
}

export class RunIndex {
  /** The last one of each rollout: a retried rollout has several. */
  readonly outcomes = new Map<RolloutId, OutcomeRecord>();
  readonly verdicts = new Map<RolloutId, VerdictRecord>();
  readonly sessions = new Map<RolloutId, SessionRecord>();
  readonly manifests: ManifestRecord[] = [];
  readonly versions: VersionRecord[] = [];
  readonly notes: Readonly<Record<string, unknown>>[] = [];
  readonly #turns = new Map<RolloutId, TurnRecord[]>();
  readonly #messages = new Map<string, string | null>();
  readonly #bodies: boolean;
  #turnCount = 0;
  #removed = 0;

  constructor(options: RunIndexOptions) {
    this.#bodies = options.bodies;
  }

  apply(record: RunRecord): void {
    switch (record.type) {
      case 'session':
        this.sessions.set(record.rollout, record);
        return;
      case 'message':
        this.#messages.set(record.key, this.#bodies ? record.body : null);
        return;
      case 'turn': {
        const turns = this.#turns.get(record.rollout);
        if (turns === undefined) this.#turns.set(record.rollout, [record]);
        else turns.push(record);
        this.#turnCount++;
        return;
      }
      case 'outcome':
        this.outcomes.set(record.rollout, record);
        return;
      case 'verdict':
        this.verdicts.set(record.rollout, record);
        return;
      case 'manifest':
        this.manifests.push(record);
        return;
      case 'version':
        this.versions.push(record);
        return;
      case 'note':
        this.notes.push(record.note);
        return;
      case 'removed':
        this.#removed += record.erased + record.retention;
        return;
      default:
        record satisfies never;
    }
  }

  get turnCount(): number {
    return this.#turnCount;
  }

  /** Records that are no longer there, as they were erased or outlived their retention. */
  get removedCount(): number {
    return this.#removed;
  }

  /** Rollouts that have a turn, in the order of their first ones. */
  rollouts(): RolloutId[] {
    return [...this.#turns.keys()];
  }

  /** In the order in which they became durable. */
  turns(rollout: RolloutId): readonly TurnRecord[] {
    return this.#turns.get(rollout) ?? [];
  }

  hasMessage(key: string): boolean {
    return this.#messages.has(key);
  }

  /** Canonical JSON of a block (canonical.ts, BlockBody), or null when bodies are not kept or it is unknown. */
  messageBody(key: string): string | null {
    return this.#messages.get(key) ?? null;
  }
}

/** Reads a run's store without opening it for writing. */
export async function readRun(storeDirectory: string, options: RunIndexOptions = { bodies: true }): Promise<RunIndex> {
  const index = new RunIndex(options);
  for await (const frame of readFrames(storeDirectory)) index.apply(decodeRecord(frame.kind, frame.payload));
  return index;
}
