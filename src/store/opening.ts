/**
 * What whoever is about to append finds, and what it must do first.
 *
 * Invariant: all that is found is durable when it is handed out. A writer that was killed may have left it to the page
 * cache, and whoever finds a record builds on it.
 */
import type { StoreFiles } from './files.ts';
import { finishReplacement } from './replacement.ts';
import { framesOf, listSegments, type SegmentEnd, type SegmentName } from './segment.ts';

/** What opening found. */
export interface OpenReport {
  readonly nextSequence: number;
  /** The torn tail that was cut, or null. */
  readonly cut: {
    readonly path: string;
    readonly offset: number;
    readonly bytes: number;
    readonly reason: string;
  } | null;
}

export interface OpenedChain {
  readonly report: OpenReport;
  /** The segment to append to, and its bytes; null when the chain has none. */
  readonly last: { readonly path: string; readonly size: number } | null;
}

/** The caller holds the directory's lock. Cuts the torn tails of all chains. */
export async function openChain(files: StoreFiles, directory: string, writer: number): Promise<OpenedChain> {
  await finishReplacement(files, directory);
  const segments = await listSegments(files, directory);
  const lastOnes = segments.filter((segment, i) => segments[i + 1]?.writer !== segment.writer);
  let opened: OpenedChain = { report: { nextSequence: 0, cut: null }, last: null };
  for (const segment of lastOnes) {
    const { path } = segment;
    const { end, bytes } = await endOf(files, segment);
    const { offset, torn } = end;
    // Also without a torn tail: what is there may not have been synced.
    await files.truncate(path, offset);
    if (segment.writer !== writer) continue;
    const cut = torn === null ? null : { path, offset, bytes: bytes - offset, reason: torn };
    opened = { report: { nextSequence: end.nextSequence, cut }, last: { path, size: offset } };
  }
  return opened;
}

async function endOf(files: StoreFiles, segment: SegmentName): Promise<{ end: SegmentEnd; bytes: number }> {
  const bytes = await files.read(segment.path);
  const frames = framesOf(bytes, segment, true);
  for (;;) {
    const step = frames.next();
    if (step.done) return { end: step.value, bytes: bytes.length };
  }
}
