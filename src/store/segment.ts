/**
 * A writer's chain of segment files: their names, and the frames in one of them.
 *
 * Invariants:
 * 1. A segment's name says its writer and its first sequence: `0001-000000004096.segment`.
 * 2. Only the end of the last segment of a chain may be torn. Anything else that is broken is damage, and an error.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { EspalierError, messageOf } from '../core/errors.ts';
import { decodeFrame, type Frame, findFrame } from './frame.ts';

export interface SegmentName {
  readonly path: string;
  readonly writer: number;
  readonly firstSequence: number;
}

export function segmentPath(directory: string, writer: number, firstSequence: number): string {
  return join(directory, `${String(writer).padStart(4, '0')}-${String(firstSequence).padStart(12, '0')}.segment`);
}

/** Segments of a directory by writer, then by first sequence. A directory that does not exist has none. */
export async function listSegments(directory: string): Promise<SegmentName[]> {
  const names = await readdir(directory).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return [];
    throw new EspalierError('store', `cannot read ${directory}: ${messageOf(cause)}`, { cause });
  });
  return names
    .flatMap((name): SegmentName[] => {
      const match = /^(\d{4})-(\d{12})\.segment$/.exec(name);
      return match ? [{ path: join(directory, name), writer: Number(match[1]), firstSequence: Number(match[2]) }] : [];
    })
    .sort((a, b) => a.writer - b.writer || a.firstSequence - b.firstSequence);
}

/** Where the whole frames of a segment end, and why they end there when bytes are left. */
export interface SegmentEnd {
  readonly offset: number;
  readonly nextSequence: number;
  readonly torn: string | null;
}

/**
 * Yields the frames of a segment and returns where they end.
 *
 * Throws EspalierError('store') with file and offset when a broken frame is not the torn tail of the `last` segment.
 */
export function* framesOf(bytes: Uint8Array, segment: SegmentName, last: boolean): Generator<Frame, SegmentEnd> {
  let offset = 0;
  let nextSequence = segment.firstSequence;
  while (offset < bytes.length) {
    const decoded = decodeFrame(bytes, offset);
    if (decoded.status === 'broken') {
      const later = findFrame(bytes, offset + 1);
      if (!last || later !== null) throw damaged(segment.path, offset, decoded.reason);
      return { offset, nextSequence, torn: decoded.reason };
    }
    const { frame, end } = decoded;
    if (frame.sequence !== nextSequence || frame.writer !== segment.writer) {
      const found = `frame ${frame.sequence} of writer ${frame.writer}`;
      throw damaged(segment.path, offset, `${found} where ${nextSequence} of ${segment.writer} belongs`);
    }
    yield frame;
    offset = end;
    nextSequence++;
  }
  return { offset, nextSequence, torn: null };
}

export function damaged(path: string, offset: number, reason: string): EspalierError {
  return new EspalierError(
    'store',
    `${path} is damaged at byte ${offset}: ${reason}; restore the file from a copy, or start a new run directory`,
  );
}
