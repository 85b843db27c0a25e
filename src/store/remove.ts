/** Segments without some of their frames: the only way in which anything ever leaves a store. */
import { EspalierError } from '../core/errors.ts';
import { diskFailure } from './disk-failure.ts';
import type { StoreFiles } from './files.ts';
import type { Frame } from './frame.ts';
import { finishReplacement, replaceSegments } from './replacement.ts';
import {
  framesOf,
  listSegments,
  type RemovalReason,
  removedFrame,
  removedOf,
  type SegmentName,
  segmentFile,
} from './segment.ts';

export interface Removal {
  /** Frames that were removed. */
  readonly frames: number;
  /** Bytes by which the store is smaller. */
  readonly bytes: number;
  /** Segments that were rewritten. */
  readonly segments: number;
}

export type Condemned = (frame: Frame) => boolean;

/**
 * From all segments of all writers, none of which is appended to meanwhile; the caller holds the directory's lock.
 *
 * Rejects with EspalierError('store'); what is gone then is all or nothing.
 */
export async function removeFrames(
  files: StoreFiles,
  directory: string,
  condemned: Condemned,
  why: RemovalReason,
): Promise<Removal> {
  const removal = { frames: 0, bytes: 0, segments: 0 };
  const contents = async function* (): AsyncGenerator<readonly [string, Uint8Array]> {
    const segments = await listSegments(files, directory);
    for (const [i, segment] of segments.entries()) {
      const bytes = await files.read(segment.path);
      const last = segments[i + 1]?.writer !== segment.writer;
      const result = rewritten(bytes, segment, last, condemned, why);
      if (result === null) continue;
      removal.frames += result.frames;
      removal.bytes += bytes.length - result.bytes.length;
      removal.segments++;
      yield [segmentFile(segment), result.bytes];
    }
  };
  try {
    await replaceSegments(files, directory, contents());
  } catch (failure) {
    // Begun, it is ended now or at the next opening; else its traces are in the way of nobody.
    await finishReplacement(files, directory).catch(() => {});
    throw failure instanceof EspalierError ? failure : diskFailure(`cannot rewrite ${directory}`, failure);
  }
  return removal;
}

/**
 * The segment's bytes without the frames that are condemned, or null when none of them is here.
 *
 * Neighbors that were removed, now or before, become one `removed` frame. What is kept is kept to the byte.
 */
function rewritten(
  bytes: Uint8Array,
  segment: SegmentName,
  last: boolean,
  condemned: Condemned,
  why: RemovalReason,
): { readonly bytes: Uint8Array; readonly frames: number } | null {
  const parts: Uint8Array[] = [];
  let frames = 0;
  let gap: { readonly sequence: number; erased: number; retention: number } | null = null;
  const closeGap = (): void => {
    if (gap !== null) parts.push(removedFrame(segment.writer, gap.sequence, gap));
    gap = null;
  };
  for (const { frame, offset, end } of framesOf(bytes, segment, last)) {
    if (frame.kind !== 'removed' && !condemned(frame)) {
      closeGap();
      parts.push(bytes.subarray(offset, end));
      continue;
    }
    gap ??= { sequence: frame.sequence, erased: 0, retention: 0 };
    if (frame.kind === 'removed') {
      const { erased, retention } = removedOf(frame);
      gap.erased += erased;
      gap.retention += retention;
    } else {
      gap[why]++;
      frames++;
    }
  }
  closeGap();
  return frames === 0 ? null : { bytes: Buffer.concat(parts), frames };
}
