/**
 * Reads every whole frame of a store, also while a writer appends to it or after one was killed.
 *
 * Not a lock and not a repair: a torn tail is left as it is; the next writer cuts it.
 */
import { readFile } from 'node:fs/promises';
import { EspalierError, messageOf } from '../core/errors.ts';
import type { Frame } from './frame.ts';
import { damaged, framesOf, listSegments } from './segment.ts';

/**
 * Writer by writer, in order of sequence. A payload is a view into its segment: copy what is kept.
 *
 * Throws EspalierError('store') with file and offset when something before the tail is damaged.
 */
export async function* readFrames(directory: string): AsyncGenerator<Frame> {
  const segments = await listSegments(directory);
  let expected: { writer: number; sequence: number } | null = null;
  for (const [i, segment] of segments.entries()) {
    const first = expected?.writer === segment.writer ? expected.sequence : 0;
    if (segment.firstSequence !== first) {
      throw damaged(segment.path, 0, `it begins with frame ${segment.firstSequence}, and ${first} is missing`);
    }
    const last = segments[i + 1]?.writer !== segment.writer;
    const bytes = await readFile(segment.path).catch((cause: unknown) => {
      throw new EspalierError('store', `cannot read ${segment.path}: ${messageOf(cause)}`, { cause });
    });
    const end = yield* framesOf(bytes, segment, last);
    expected = { writer: segment.writer, sequence: end.nextSequence };
  }
}
