/**
 * Brings an index up to the segments, or says why it cannot be.
 *
 * Invariants:
 * 1. A segment's rows and the note of how far it is indexed are one transaction: a killed update is no update.
 * 2. Rows are trusted only while the segments under them are the same: of a segment that was not touched since, by the
 *    file system's word; of any other one, by the chain of checksums of all its frames.
 */
import type { DatabaseSync } from 'node:sqlite';
import { crc32c } from '../../store/crc32c.ts';
import type { StoreFiles } from '../../store/files.ts';
import { headerBytes } from '../../store/frame.ts';
import { readSegment } from '../../store/reader.ts';
import { damaged, framesOf, listSegments, type SegmentName } from '../../store/segment.ts';
import { IndexWriter } from './schema.ts';

interface Known {
  readonly writer: number;
  readonly first: number;
  readonly identity: string;
  readonly sizeBytes: number;
  readonly indexedBytes: number;
  readonly next: number;
  readonly chain: number;
}

export interface Updated {
  /** Frames that were new. */
  readonly frames: number;
  /** Why the rows are not those of the segments, or null. The index must then be built anew. */
  readonly stale: string | null;
}

/** Throws EspalierError('store') where a reader would. */
export async function updateIndex(database: DatabaseSync, files: StoreFiles, directory: string): Promise<Updated> {
  const segments = await listSegments(files, directory);
  const known = new Map(
    (database.prepare('SELECT * FROM segment').all() as unknown as Known[]).map((row) => [nameOf(row), row]),
  );
  for (const segment of segments) known.delete(nameOf({ ...segment, first: segment.firstSequence }));
  const gone = known.values().next().value;
  if (gone !== undefined) return { frames: 0, stale: `segment ${gone.writer}-${gone.first} is gone` };

  const writer = new IndexWriter(database);
  let frames = 0;
  let expected: { writer: number; next: number } | null = null;
  for (const [i, segment] of segments.entries()) {
    const first: number = expected?.writer === segment.writer ? expected.next : 0;
    if (segment.firstSequence !== first) {
      throw damaged(segment.path, 0, `it begins with frame ${segment.firstSequence}, and ${first} is missing`);
    }
    const last = segments[i + 1]?.writer !== segment.writer;
    const done = await updateSegment(database, writer, files, directory, segment, last);
    if (done === null) return { frames, stale: `${segment.path} is another than the one that was indexed` };
    frames += done.frames;
    expected = { writer: segment.writer, next: done.next };
  }
  return { frames, stale: null };
}

const nameOf = ({ writer, first }: Pick<Known, 'writer' | 'first'>): string => `${writer} ${first}`;

/** null: the rows are another file's. */
async function updateSegment(
  database: DatabaseSync,
  writer: IndexWriter,
  files: StoreFiles,
  directory: string,
  segment: SegmentName,
  last: boolean,
): Promise<{ readonly frames: number; readonly next: number } | null> {
  const rowOf = database.prepare('SELECT * FROM segment WHERE writer = ? AND first = ?');
  const read = () => rowOf.get(segment.writer, segment.firstSequence) as Known | undefined;
  // Before the bytes: what is appended in between is found the next time.
  const { identity, sizeBytes } = await files.stat(segment.path);
  const known = read();
  const isSame = known?.identity === identity && known.sizeBytes === sizeBytes;
  // A torn tail is no part of a segment that another one follows.
  if (known !== undefined && isSame && (last || known.indexedBytes === sizeBytes))
    return { frames: 0, next: known.next };

  database.exec('BEGIN IMMEDIATE');
  try {
    // Another process may have been here first.
    const row = read();
    const indexed = { end: row?.indexedBytes ?? 0, chain: row?.chain ?? 0 };
    const bytes = await readSegment(files, directory, segment);
    let [chain, frames, matches] = [0, 0, false];
    const places = framesOf(bytes, segment, last);
    for (;;) {
      const step = places.next();
      const { offset } = step.value;
      matches ||= offset === indexed.end && chain === indexed.chain;
      if (!matches && (step.done || offset >= indexed.end)) {
        database.exec('ROLLBACK');
        return null;
      }
      if (step.done) {
        const next = step.value.nextSequence;
        database
          .prepare('INSERT OR REPLACE INTO segment VALUES (?, ?, ?, ?, ?, ?, ?)')
          .run(segment.writer, segment.firstSequence, identity, sizeBytes, offset, next, chain);
        database.exec('COMMIT');
        return { frames, next };
      }
      const { frame, end } = step.value;
      chain = crc32c(bytes.subarray(offset, offset + headerBytes), chain);
      if (!matches) continue;
      writer.add(frame, { first: segment.firstSequence, offset, bytes: end - offset });
      frames++;
    }
  } catch (failure) {
    database.exec('ROLLBACK');
    throw failure;
  }
}
