/** What is asked of an index. Pages are in the order of the record; `after` is the last one's `at`, or -1. */
import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import type { Outcome } from '../../core/outcome.ts';
import type { Fidelity } from '../../core/turn.ts';
import type { BreakCause } from '../records.ts';
import { RemovalQueries } from './removal-queries.ts';
import { writerAt } from './schema.ts';

export interface RecordFacts {
  readonly turns: number;
  readonly exact: number;
  readonly observed: number;
  readonly text: number;
  /** Sampled, and those of them that were tokenized again. */
  readonly tokens: number;
  readonly retokenizedSampledTokens: number;
  readonly sessions: number;
  readonly batches: number;
  /** Records that are no longer there. */
  readonly erased: number;
  readonly retention: number;
  readonly breaks: Readonly<Record<string, number>>;
  readonly outcomes: Readonly<Record<string, number>>;
}

/** A rollout that has a turn. */
export interface RolloutRow {
  readonly at: number;
  readonly rollout: string;
  readonly turns: number;
  readonly toolCalls: number;
  /** Of its last turn. */
  readonly promptTokens: number;
  readonly sampledTokens: number;
  readonly task: string | null;
  readonly outcome: Outcome | null;
  readonly solved: boolean | null;
  readonly reward: number | null;
  /** Of the last batch that learned from it. */
  readonly group: string | null;
}

export interface BreakRow {
  readonly at: number;
  readonly rollout: string;
  readonly turn: number;
  readonly cause: BreakCause;
  readonly tokensLost: number;
  readonly reusedTokens: number;
  readonly retokenizedSampledTokens: number;
  readonly messagesReused: number;
  readonly fidelity: Fidelity;
}

/** Where a record lies: in the segment of that writer and first sequence. */
export interface RecordPlace {
  readonly writer: number;
  readonly sequence: number;
  readonly first: number;
  readonly offset: number;
  readonly bytes: number;
}

/** That rollout, and those whose ids are below it. */
const below = 'rollout = :under OR (rollout > :low AND rollout < :high)';
const bounds = (under: string) => ({ under, low: `${under}/`, high: `${under}0` });

export class IndexQueries extends RemovalQueries {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    super(database);
    this.#database = database;
  }

  facts(): RecordFacts {
    const [turns] = this.#all<
      Omit<RecordFacts, 'sessions' | 'batches' | 'erased' | 'retention' | 'breaks' | 'outcomes'>
    >(`
      SELECT count(*) AS turns, coalesce(sum(sampled), 0) AS tokens,
        coalesce(sum(retokenized), 0) AS retokenizedSampledTokens, coalesce(sum(fidelity = 'exact'), 0) AS exact,
        coalesce(sum(fidelity = 'observed'), 0) AS observed, coalesce(sum(fidelity = 'text'), 0) AS text FROM turn`);
    const [others] = this.#all<Pick<RecordFacts, 'sessions' | 'batches' | 'erased' | 'retention'>>(`
      SELECT (SELECT count(DISTINCT rollout) FROM record WHERE type = 'session') AS sessions,
        (SELECT count(*) FROM record WHERE type = 'manifest') AS batches,
        (SELECT coalesce(sum(erased), 0) FROM removed) AS erased,
        (SELECT coalesce(sum(retention), 0) FROM removed) AS retention`);
    const breaks = this.#counts(
      'SELECT cause AS name, count(*) AS count FROM turn WHERE cause IS NOT NULL GROUP BY cause',
    );
    const outcomes = this.#counts(`
      SELECT status AS name, count(*) AS count FROM outcome AS one
      WHERE at = (SELECT max(at) FROM outcome WHERE rollout = one.rollout) GROUP BY status`);
    return { ...(turns as NonNullable<typeof turns>), ...(others as NonNullable<typeof others>), breaks, outcomes };
  }

  rollouts(under: string | null, after: number, limit: number): RolloutRow[] {
    type Row = Omit<RolloutRow, 'outcome' | 'solved'> & {
      readonly outcome: string | null;
      readonly solved: number | null;
    };
    const rows = this.#all<Row>(
      `SELECT rollout.firstTurn AS at, rollout.rollout, count(*) AS turns, sum(turn.toolCalls) AS toolCalls,
        sum(turn.sampled) AS sampledTokens, max(turn.at) AS last,
        (SELECT prompt FROM turn AS one WHERE one.rollout = rollout.rollout ORDER BY at DESC LIMIT 1) AS promptTokens,
        (SELECT task FROM outcome AS one WHERE one.rollout = rollout.rollout ORDER BY at DESC LIMIT 1) AS task,
        (SELECT outcome FROM outcome AS one WHERE one.rollout = rollout.rollout ORDER BY at DESC LIMIT 1) AS outcome,
        (SELECT solved FROM verdict AS one WHERE one.rollout = rollout.rollout ORDER BY at DESC LIMIT 1) AS solved,
        coalesce(
          (SELECT reward FROM verdict AS one WHERE one.rollout = rollout.rollout ORDER BY at DESC LIMIT 1),
          (SELECT reward FROM outcome AS one WHERE one.rollout = rollout.rollout ORDER BY at DESC LIMIT 1)) AS reward,
        (SELECT groupId FROM member AS one WHERE one.rollout = rollout.rollout ORDER BY at DESC LIMIT 1) AS "group"
      FROM (SELECT * FROM rollout WHERE firstTurn > :after ${under === null ? '' : `AND (${below})`}
        ORDER BY firstTurn LIMIT :limit) AS rollout
      JOIN turn ON turn.rollout = rollout.rollout GROUP BY rollout.rollout ORDER BY rollout.firstTurn`,
      { after, limit, ...(under !== null && bounds(under)) },
    );
    return rows.map(({ outcome, solved, ...row }) => ({
      ...row,
      outcome: outcome === null ? null : (JSON.parse(outcome) as Outcome),
      solved: solved === null ? null : solved === 1,
    }));
  }

  /** Rollouts that have a turn. */
  countRollouts(under: string | null): { readonly rollouts: number; readonly turns: number } {
    const [row] = this.#all<{ rollouts: number; turns: number }>(
      `SELECT count(DISTINCT rollout) AS rollouts, count(*) AS turns FROM turn ${under === null ? '' : `WHERE ${below}`}`,
      under === null ? {} : bounds(under),
    );
    return row as NonNullable<typeof row>;
  }

  breaks(under: string | null, after: number, limit: number): BreakRow[] {
    return this.#all<BreakRow>(
      `SELECT at, rollout, number AS turn, cause, lost AS tokensLost, reused AS reusedTokens,
        retokenized AS retokenizedSampledTokens, messagesReused, fidelity
      FROM turn WHERE cause IS NOT NULL AND at > :after ${under === null ? '' : `AND (${below})`} ORDER BY at LIMIT :limit`,
      { after, limit, ...(under !== null && bounds(under)) },
    );
  }

  /** Of all records of a rollout, and of the messages and tools that its turns name. In the order of the record. */
  places(rollout: string): RecordPlace[] {
    const rows = this.#all<{ at: number; first: number; offset: number; bytes: number }>(
      `SELECT at, first, offset, bytes FROM record WHERE rollout = :rollout
      UNION ALL SELECT at, first, offset, bytes FROM record JOIN mention ON mention.block = record.block
        WHERE mention.rollout = :rollout
      ORDER BY at`,
      { rollout },
    );
    return rows.map(({ at, ...place }) => ({ writer: writerAt(at), sequence: at % 2 ** 39, ...place }));
  }

  #counts(sql: string): Record<string, number> {
    return Object.fromEntries(this.#all<{ name: string; count: number }>(sql).map(({ name, count }) => [name, count]));
  }

  /** Rows have the columns that the statement names. */
  #all<T>(sql: string, values: Readonly<Record<string, SQLInputValue>> = {}): T[] {
    return this.#database.prepare(sql).all(values) as unknown as T[];
  }
}
