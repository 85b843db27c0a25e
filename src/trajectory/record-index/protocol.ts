/** What an index is asked, across threads: every method of IndexQueries, and two questions more. */
import type { Boundary } from '../../core/errors.ts';
import type { IndexQueries } from './queries.ts';

export type IndexQuery = keyof IndexQueries;

export interface IndexWorkerData {
  /** Of the index, or ':memory:'. */
  readonly path: string;
  /** Of the segments. */
  readonly directory: string;
}

export interface IndexQuestion {
  readonly id: number;
  readonly name: IndexQuery | 'opened' | 'close';
  readonly args: readonly unknown[];
}

export type IndexAnswer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: { readonly boundary: Boundary; readonly message: string } };

/** Asks `name`; the caller of the other thread was checked by its types. */
export function askQuery(queries: IndexQueries, name: IndexQuery, args: readonly unknown[]): unknown {
  return (queries[name] as (...args: readonly unknown[]) => unknown).apply(queries, [...args]);
}
