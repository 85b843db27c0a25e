/**
 * A file of a model folder, read whole: configuration, tokenizer, chat template, shard index.
 *
 * Invariant: nothing but a regular file of a sane size is read. A pipe would keep its reader waiting for ever, and a
 * link to a device gives bytes without end.
 */
import { constants, type FileHandle, open } from 'node:fs/promises';
import { EspalierError, messageOf } from '../core/errors.ts';

/** The largest tokenizer that is published is below 40 MB. */
const mostBytes = 256 << 20;

/** Null when there is no such file. The caller closes it. Throws EspalierError('checkpoint'). */
export async function openModelFile(path: string): Promise<FileHandle | null> {
  let file: FileHandle;
  try {
    // Without O_NONBLOCK a pipe is opened only when somebody writes into it.
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    const wayOut = code === 'ELOOP' ? 'its symbolic links lead back to themselves' : messageOf(cause);
    throw new EspalierError('checkpoint', `cannot read ${path}: ${wayOut}`, { cause });
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new EspalierError('checkpoint', `${path} is not a file; put the model's own file in its place`);
}

/** Null when there is no such file. Throws EspalierError('checkpoint'). */
export async function readModelFile(path: string): Promise<Buffer | null> {
  const file = await openModelFile(path);
  if (file === null) return null;
  await using _ = file;
  try {
    const { size } = await file.stat();
    if (size <= mostBytes) return await file.readFile();
    throw new EspalierError('checkpoint', `${path} has ${size} bytes, more than ${mostBytes}: it is no such file`);
  } catch (cause) {
    if (cause instanceof EspalierError) throw cause;
    throw new EspalierError('checkpoint', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

/** A JSON object, or null when there is no such file. Throws EspalierError('checkpoint'). */
export async function readModelJson(path: string): Promise<Readonly<Record<string, unknown>> | null> {
  const bytes = await readModelFile(path);
  if (bytes === null) return null;
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new EspalierError('checkpoint', `${path} is not JSON: ${messageOf(cause)}; fetch it anew`, { cause });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new EspalierError('checkpoint', `${path} holds no JSON object; fetch it anew`);
}
