/**
 * Takes records out of a store: erasure and retention go this way.
 *
 * Invariants:
 * 1. Nobody else has the store open: opening it takes its lock.
 * 2. All that leaves together leaves at once, or not at all (store/replacement.ts).
 * 3. No index survives that knows what left.
 */

import type { Removal } from '../store/remove.ts';
import type { RemovalReason } from '../store/segment.ts';
import { StoreWriter } from '../store/writer.ts';
import { removeIndex } from './record-index/database.ts';
import type { Leaving } from './record-index/removal-queries.ts';
import { recordAt } from './record-index/schema.ts';
import { indexPath, RecordIndex } from './record-index.ts';

/**
 * `choose` says what leaves, or null for nothing; the store does not change while it looks. Gives null when nothing left.
 *
 * Throws EspalierError('store'): in use, damaged, not writable.
 */
export async function removeRecords(
  storeDirectory: string,
  why: RemovalReason,
  choose: (index: RecordIndex) => Promise<Leaving | null>,
): Promise<Removal | null> {
  const store = await StoreWriter.open(storeDirectory);
  try {
    const index = await RecordIndex.open(storeDirectory);
    const leaving = await choose(index).finally(() => index.close());
    if (leaving === null || leaving.records.length === 0) return null;
    removeIndex(indexPath(storeDirectory));
    const { records } = leaving;
    const removal = await store.remove(({ writer, sequence }) => holds(records, recordAt(writer, sequence)), why);
    // Somebody may have looked in between.
    removeIndex(indexPath(storeDirectory));
    return removal;
  } finally {
    await store.close();
  }
}

/** `sorted` is ascending. */
function holds(sorted: Float64Array, value: number): boolean {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === value;
}
