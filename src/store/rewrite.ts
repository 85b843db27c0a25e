/** A segment without some of its frames: the only way in which anything ever leaves a store. Pure. */
import type { Frame } from './frame.ts';
import { framesOf, type RemovalReason, removedFrame, removedOf, type SegmentName } from './segment.ts';

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
 * The segment's bytes without the frames that are condemned, or null when none of them is here.
 *
 * Neighbors that were removed, now or before, become one `removed` frame. What is kept is kept to the byte.
 */
export function rewritten(
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
