/**
 * A writer's chain of segment files: their names, and the frames in one of them.
 *
 * Invariants:
 * 1. A segment's name says its writer and its first sequence: `0001-000000004096.segment`.
 * 2. Only the last write to the last segment of a chain may be torn. Anything else that is broken is damage, and an
 *    error: what is acknowledged is never cut.
 * 3. Frames that were removed on purpose leave a `removed` frame in their place, so that a chain has no gap.
 *
 * Not covered: damage within the last write of all. Nothing tells it from a write that was torn.
 */
import { basename, join } from 'node:path';
import { EspalierError, messageOf } from '../core/errors.ts';
import type { StoreFiles } from './files.ts';
import { decodeFrame, encodeFrame, type Frame, findFrames } from './frame.ts';
import { decodePayload, encodePayload } from './payload.ts';
import { replacedNames, replacementOf } from './replacement.ts';

export interface SegmentName {
  /** Where its bytes are. */
  readonly path: string;
  readonly writer: number;
  readonly firstSequence: number;
}

export function segmentPath(directory: string, writer: number, firstSequence: number): string {
  return join(directory, `${String(writer).padStart(4, '0')}-${String(firstSequence).padStart(12, '0')}.segment`);
}

/** Segments of a directory by writer, then by first sequence. A directory that does not exist has none. */
export async function listSegments(files: StoreFiles, directory: string): Promise<SegmentName[]> {
  try {
    const names = (await files.list(directory)) ?? [];
    const replaced = await replacedNames(files, directory, names);
    return names
      .flatMap((name): SegmentName[] => {
        const match = /^(\d{4})-(\d{12})\.segment$/.exec(name);
        const path = join(directory, replaced.has(name) ? replacementOf(name) : name);
        return match ? [{ path, writer: Number(match[1]), firstSequence: Number(match[2]) }] : [];
      })
      .sort((a, b) => a.writer - b.writer || a.firstSequence - b.firstSequence);
  } catch (cause) {
    throw new EspalierError('store', `cannot read ${directory}: ${messageOf(cause)}`, { cause });
  }
}

/** Name of a segment's file, wherever its bytes are. */
export const segmentFile = ({ path, writer, firstSequence }: SegmentName): string =>
  basename(segmentPath(path, writer, firstSequence));

/** A frame of a segment, and its place in the file. */
export interface PlacedFrame {
  readonly frame: Frame;
  readonly offset: number;
  readonly end: number;
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
export function* framesOf(bytes: Uint8Array, segment: SegmentName, last: boolean): Generator<PlacedFrame, SegmentEnd> {
  let offset = 0;
  let nextSequence = segment.firstSequence;
  while (offset < bytes.length) {
    const decoded = decodeFrame(bytes, offset);
    if (decoded.status === 'broken') {
      if (!last || wasDurable(nextSequence, bytes, offset, segment.writer)) {
        throw damaged(segment.path, offset, decoded.reason);
      }
      return { offset, nextSequence, torn: decoded.reason };
    }
    const { frame, end } = decoded;
    if (frame.sequence !== nextSequence || frame.writer !== segment.writer) {
      const found = `frame ${frame.sequence} of writer ${frame.writer}`;
      throw damaged(segment.path, offset, `${found} where ${nextSequence} of ${segment.writer} belongs`);
    }
    yield { frame, offset, end };
    offset = end;
    nextSequence += spanOf(frame);
  }
  return { offset, nextSequence, torn: null };
}

/** A whole frame of a later write says so. */
function wasDurable(sequence: number, bytes: Uint8Array, offset: number, writer: number): boolean {
  for (const frame of findFrames(bytes, offset + 1)) {
    if (frame.writer === writer && frame.sequence - frame.place > sequence) return true;
  }
  return false;
}

export type RemovalReason = 'erased' | 'retention';
/** How many frames went for each reason. */
export type RemovedCounts = Readonly<Record<RemovalReason, number>>;

/** Stands for as many frames as were removed. */
export function removedFrame(writer: number, sequence: number, { erased, retention }: RemovedCounts): Uint8Array {
  const payload = encodePayload({ fields: { erased, retention }, arrays: {} });
  return encodeFrame('removed', { writer, sequence, place: 0 }, [payload]);
}

/** Of a `removed` frame. */
export const removedOf = ({ payload }: Pick<Frame, 'payload'>): RemovedCounts =>
  decodePayload(payload).fields as unknown as RemovedCounts;

/** Sequence numbers that a frame stands for. */
export function spanOf(frame: Pick<Frame, 'kind' | 'payload'>): number {
  if (frame.kind !== 'removed') return 1;
  const { erased, retention } = removedOf(frame);
  return erased + retention;
}

export function damaged(path: string, offset: number, reason: string): EspalierError {
  return new EspalierError(
    'store',
    `${path} is damaged at byte ${offset}: ${reason}; restore the file from a copy, or start a new run directory`,
  );
}
