/**
 * Reads every whole frame of a store, also while a writer appends to it or after one was killed.
 *
 * Not a lock and not a repair: a torn tail is left as it is; the next writer cuts it.
 */
import { EspalierError, messageOf } from '../core/errors.ts';
import { diskFiles } from './disk-files.ts';
import { errorCode, type StoreFiles } from './files.ts';
import type { Frame } from './frame.ts';
import { damaged, framesOf, listSegments, type PlacedFrame, type SegmentName, segmentPath } from './segment.ts';

/**
 * Writer by writer, in order of sequence. A payload is a view into its segment: copy what is kept.
 *
 * Throws EspalierError('store') with file and offset when something before the tail is damaged.
 */
export async function* readFrames(directory: string, files: StoreFiles = diskFiles): AsyncGenerator<Frame> {
  for await (const { frame } of readPlaces(directory, files)) yield frame;
}

/** The same, with where each frame lies. */
export async function* readPlaces(
  directory: string,
  files: StoreFiles = diskFiles,
): AsyncGenerator<PlacedFrame & { readonly segment: SegmentName }> {
  const segments = await listSegments(files, directory);
  let expected: { writer: number; sequence: number } | null = null;
  for (const [i, segment] of segments.entries()) {
    const first: number = expected?.writer === segment.writer ? expected.sequence : 0;
    if (segment.firstSequence !== first) {
      throw damaged(segment.path, 0, `it begins with frame ${segment.firstSequence}, and ${first} is missing`);
    }
    const last = segments[i + 1]?.writer !== segment.writer;
    const frames = framesOf(await readSegment(files, directory, segment), segment, last);
    for (;;) {
      const step = frames.next();
      if (step.done) {
        expected = { writer: segment.writer, sequence: step.value.nextSequence };
        break;
      }
      yield { ...step.value, segment };
    }
  }
}

/** All bytes of a segment, also when another version of it is just put in its place. */
export async function readSegment(files: StoreFiles, directory: string, segment: SegmentName): Promise<Uint8Array> {
  const { path, writer, firstSequence } = segment;
  try {
    return await files.read(path).catch((cause: unknown) => {
      if (errorCode(cause) !== 'ENOENT') throw cause;
      return files.read(segmentPath(directory, writer, firstSequence));
    });
  } catch (cause) {
    throw new EspalierError('store', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}
