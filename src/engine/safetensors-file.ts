/** A safetensors file on disk, read tensor by tensor: no file is too large, and nothing is read that was not checked. */
import type { FileHandle } from 'node:fs/promises';
import { EspalierError, messageOf } from '../core/errors.ts';
import { openModelFile } from '../tokens/model-file.ts';
import { damaged, headerLength, leadBytes, readHeader, type TensorEntry } from './safetensors.ts';
import { decodeFloats } from './safetensors-types.ts';

/** Close it: `await using`. Throws `checkpoint` errors of one line. */
export interface SafetensorsFile extends AsyncDisposable {
  readonly path: string;
  /** In the order of their bytes. */
  readonly entries: readonly TensorEntry[];
  /** The values as float32; `entry` is one of `entries`. */
  read(entry: TensorEntry): Promise<Float32Array>;
}

/** Null when there is no such file. */
export async function openSafetensors(path: string): Promise<SafetensorsFile | null> {
  const handle = await openModelFile(path);
  if (handle === null) return null;
  try {
    const { size: fileBytes } = await handle.stat();
    const lead = await readBytes(handle, 0, Math.min(leadBytes, fileBytes), path);
    const length = headerLength(lead, fileBytes, path);
    const entries = readHeader(await readBytes(handle, leadBytes, length, path), fileBytes, path);
    return {
      path,
      entries,
      read: async ({ dtype, from, to }) => decodeFloats(dtype, await readBytes(handle, from, to - from, path)),
      [Symbol.asyncDispose]: () => handle.close(),
    };
  } catch (thrown) {
    await handle.close();
    throw thrown;
  }
}

/** One read call takes less than 2 GiB. */
const mostAtOnce = 2 ** 30;

async function readBytes(handle: FileHandle, from: number, length: number, path: string): Promise<Uint8Array> {
  try {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const part = bytes.subarray(done, done + mostAtOnce);
      const { bytesRead } = await handle.read(part, 0, part.length, from + done);
      if (bytesRead === 0) throw damaged(path, `the file ended at byte ${from + done} while it was read`);
      done += bytesRead;
    }
    return bytes;
  } catch (cause) {
    if (cause instanceof EspalierError) throw cause;
    throw new EspalierError('checkpoint', `cannot read ${length} bytes of ${path}: ${messageOf(cause)}`, { cause });
  }
}
