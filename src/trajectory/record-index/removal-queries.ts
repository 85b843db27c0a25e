/** What may leave a record, and what leaves with it. */
import type { DatabaseSync, SQLInputValue } from 'node:sqlite';

/** By writer and first sequence. */
export type SegmentKey = readonly [writer: number, first: number];

export interface Leaving {
  /** Places (`at`) of the records that go, ascending. */
  readonly records: Float64Array;
  readonly rollouts: number;
  readonly turns: number;
}

export interface Outlived {
  /** Rollouts all of whose records lie in those segments. */
  readonly rollouts: readonly string[];
  /** Others like them that stay, as recorded batches need them. */
  readonly pinned: number;
}

export class RemovalQueries {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    database.exec(`
      CREATE TEMP TABLE IF NOT EXISTS leaving (rollout TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
      CREATE TEMP TABLE IF NOT EXISTS chosen (low INTEGER PRIMARY KEY, first INTEGER NOT NULL, high INTEGER NOT NULL) STRICT;`);
  }

  /** Every rollout that has any record: that one, and those below it. */
  recorded(under: string | null): string[] {
    const where = under === null ? 'rollout IS NOT NULL' : 'rollout = :under OR (rollout > :low AND rollout < :high)';
    return this.#all<{ rollout: string }>(
      `SELECT DISTINCT rollout FROM record WHERE ${where} ORDER BY rollout`,
      under === null ? {} : { under, low: `${under}/`, high: `${under}0` },
    ).map(({ rollout }) => rollout);
  }

  /** `pinnedFrom`: batches of that step and later ones keep what they learned from; null for none. */
  outlived(segments: readonly SegmentKey[], pinnedFrom: number | null): Outlived {
    this.#database.exec('DELETE FROM temp.chosen');
    const choose = this.#database.prepare('INSERT INTO temp.chosen VALUES (?, ?, ?)');
    for (const [writer, first] of segments) choose.run(writer * 2 ** 39 + first, first, (writer + 1) * 2 ** 39);
    const rows = this.#all<{ rollout: string; isPinned: number }>(
      `SELECT rollout, EXISTS (SELECT 1 FROM member WHERE member.rollout = one.rollout AND step >= :from) AS isPinned
      FROM (
        SELECT rollout FROM record WHERE rollout IS NOT NULL GROUP BY rollout
        HAVING min(EXISTS (SELECT 1 FROM temp.chosen WHERE chosen.first = record.first AND at >= low AND at < high))
      ) AS one ORDER BY rollout`,
      { from: pinnedFrom ?? Number.MAX_SAFE_INTEGER },
    );
    return {
      rollouts: rows.filter(({ isPinned }) => isPinned === 0).map(({ rollout }) => rollout),
      pinned: rows.filter(({ isPinned }) => isPinned === 1).length,
    };
  }

  /**
   * The rollouts' records, and the messages and tools that no other rollout names. `notes`: notes that name no rollout,
   * too. Manifests and versions stay.
   */
  leaving(rollouts: readonly string[], notes: boolean): Leaving {
    this.#database.exec('DELETE FROM temp.leaving');
    const add = this.#database.prepare('INSERT OR IGNORE INTO temp.leaving VALUES (?)');
    for (const rollout of rollouts) add.run(rollout);
    const records = this.#all<{ at: number }>(
      `SELECT at FROM record WHERE rollout IN temp.leaving
        OR (block IS NOT NULL AND NOT EXISTS (
          SELECT 1 FROM mention WHERE mention.block = record.block AND mention.rollout NOT IN temp.leaving))
        ${notes ? "OR (type = 'note' AND rollout IS NULL)" : ''}
      ORDER BY at`,
    );
    const [counts] = this.#all<{ turns: number }>('SELECT count(*) AS turns FROM turn WHERE rollout IN temp.leaving');
    return {
      records: Float64Array.from(records, ({ at }) => at),
      rollouts: rollouts.length,
      turns: counts?.turns ?? 0,
    };
  }

  /** Rows have the columns that the statement names. */
  #all<T>(sql: string, values: Readonly<Record<string, SQLInputValue>> = {}): T[] {
    return this.#database.prepare(sql).all(values) as unknown as T[];
  }
}
