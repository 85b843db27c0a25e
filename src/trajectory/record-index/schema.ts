/**
 * The tables of the index of a record, and how a record gets into them.
 *
 * Not the truth: rows say where records lie and what is asked of all of them at once. Whatever an agent or a model said
 * stays in the segments.
 *
 * Invariants:
 * 1. Rows depend on the segments alone: an index that grew with them has the rows of one that was built anew.
 * 2. `at` is a record's writer and sequence in one number, which sorts as they do.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { solved, type Verdict } from '../../core/verdict.ts';
import type { Frame } from '../../store/frame.ts';
import { decodeHeader } from '../../store/payload.ts';
import { removedOf } from '../../store/segment.ts';
import { type ManifestRecord, type OutcomeRecord, recordTypeOf, type TurnRecord } from '../records.ts';

/** Another one is built anew, newer ones too. */
export const indexFormat = 1;

export const tables = `
  CREATE TABLE segment (
    writer INTEGER NOT NULL, first INTEGER NOT NULL, identity TEXT NOT NULL, sizeBytes INTEGER NOT NULL,
    indexedBytes INTEGER NOT NULL, next INTEGER NOT NULL, chain INTEGER NOT NULL,
    PRIMARY KEY (writer, first)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE record (
    at INTEGER PRIMARY KEY, type TEXT NOT NULL, rollout TEXT, block TEXT,
    first INTEGER NOT NULL, offset INTEGER NOT NULL, bytes INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX record_of_rollout ON record (rollout) WHERE rollout IS NOT NULL;
  CREATE INDEX record_of_block ON record (block) WHERE block IS NOT NULL;
  CREATE TABLE turn (
    at INTEGER PRIMARY KEY, rollout TEXT NOT NULL, number INTEGER NOT NULL, fidelity TEXT NOT NULL,
    toolCalls INTEGER NOT NULL, prompt INTEGER NOT NULL, reused INTEGER NOT NULL, sampled INTEGER NOT NULL,
    retokenized INTEGER NOT NULL, messagesReused INTEGER NOT NULL, cause TEXT, lost INTEGER
  ) STRICT;
  CREATE INDEX turn_of_rollout ON turn (rollout);
  CREATE INDEX turn_break ON turn (at) WHERE cause IS NOT NULL;
  CREATE TABLE rollout (rollout TEXT PRIMARY KEY, firstTurn INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX rollout_order ON rollout (firstTurn);
  CREATE TABLE mention (rollout TEXT NOT NULL, block TEXT NOT NULL, PRIMARY KEY (rollout, block)) STRICT, WITHOUT ROWID;
  CREATE INDEX mention_of_block ON mention (block);
  CREATE TABLE outcome (
    rollout TEXT NOT NULL, at INTEGER NOT NULL, task TEXT NOT NULL, status TEXT NOT NULL, outcome TEXT NOT NULL,
    reward REAL, PRIMARY KEY (rollout, at)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE verdict (
    rollout TEXT NOT NULL, at INTEGER NOT NULL, solved INTEGER NOT NULL, reward REAL NOT NULL, PRIMARY KEY (rollout, at)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE member (
    rollout TEXT NOT NULL, at INTEGER NOT NULL, step INTEGER NOT NULL, groupId TEXT NOT NULL, PRIMARY KEY (rollout, at)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE removed (at INTEGER PRIMARY KEY, erased INTEGER NOT NULL, retention INTEGER NOT NULL) STRICT;
`;

export const tableNames = [
  ...['segment', 'record', 'turn', 'rollout', 'mention', 'outcome', 'verdict', 'member', 'removed'],
] as const;

/** Writers have four digits: below 2 ** 53. */
export const recordAt = (writer: number, sequence: number): number => writer * 2 ** 39 + sequence;
export const writerAt = (at: number): number => Math.floor(at / 2 ** 39);

export interface FramePlace {
  readonly first: number;
  readonly offset: number;
  readonly bytes: number;
}

type Value = string | number | null;

/** Puts frames into the tables. Prepared once a connection. */
export class IndexWriter {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  add(frame: Frame, { first, offset, bytes }: FramePlace): void {
    const at = recordAt(frame.writer, frame.sequence);
    if (frame.kind === 'removed') {
      const { erased, retention } = removedOf(frame);
      this.#run('INSERT INTO removed VALUES (?, ?, ?)', at, erased, retention);
      return;
    }
    const kind = recordTypeOf(frame.kind);
    const { fields, lengths } = decodeHeader(frame.payload);
    const rollout = textOrNull(kind === 'note' ? (fields['note'] as { rollout?: unknown }).rollout : fields['rollout']);
    const block = kind === 'message' ? (fields['key'] as string) : null;
    this.#run('INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?)', at, kind, rollout, block, first, offset, bytes);
    // Frames are checked by their sums, and only encodeRecord writes them.
    switch (kind) {
      case 'turn':
        this.#addTurn(at, fields as unknown as TurnRecord, lengths);
        return;
      case 'outcome': {
        const { outcome, task, reward } = fields as unknown as OutcomeRecord;
        const facts = [task, outcome.status, JSON.stringify(outcome), reward ?? null];
        this.#run('INSERT INTO outcome VALUES (?, ?, ?, ?, ?, ?)', rollout, at, ...facts);
        return;
      }
      case 'verdict': {
        const { verdict, reward } = fields as unknown as { verdict: Verdict; reward: number };
        this.#run('INSERT INTO verdict VALUES (?, ?, ?, ?)', rollout, at, solved(verdict) ? 1 : 0, reward);
        return;
      }
      case 'manifest': {
        const { step, groups } = fields as unknown as ManifestRecord;
        for (const { group, rollouts } of groups) {
          for (const one of rollouts)
            this.#run('INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?)', one, at, step, group);
        }
        return;
      }
      case 'session':
      case 'message':
      case 'version':
      case 'note':
      case 'removed':
        return;
      default: {
        kind satisfies never;
      }
    }
  }

  #addTurn(at: number, turn: TurnRecord, lengths: Readonly<Record<string, number>>): void {
    const { rollout } = turn;
    const prompt = turn.reused + (lengths['tail'] ?? 0);
    const sampled = lengths['completion'] ?? 0;
    this.#run(
      'INSERT INTO turn VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
      ...[at, rollout, turn.index, turn.fidelity, turn.toolCallCount, prompt, turn.reused, sampled],
      ...[
        turn.retokenizedSampledTokens,
        turn.messagesReused,
        turn.break?.cause ?? null,
        turn.break?.tokensLost ?? null,
      ],
    );
    this.#run(
      'INSERT INTO rollout VALUES (?, ?) ON CONFLICT DO UPDATE SET firstTurn = min(firstTurn, excluded.firstTurn)',
      ...[rollout, at],
    );
    for (const block of [turn.tools, ...turn.messages, turn.reply]) {
      this.#run('INSERT OR IGNORE INTO mention VALUES (?, ?)', rollout, block);
    }
  }

  #run(sql: string, ...values: Value[]): void {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    statement.run(...values);
  }
}

const textOrNull = (value: unknown): string | null => (typeof value === 'string' ? value : null);
