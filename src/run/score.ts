/** `espalier score`: what the engine computes for a list of ids. */
import { readFile } from 'node:fs/promises';
import { EspalierError, messageOf } from '../core/errors.ts';
import { readCheckpoint } from '../engine/checkpoint.ts';
import { scoreIds } from '../engine/score-ids.ts';
import { loadNative } from '../native/native.ts';

export interface Score {
  /** One for each token after the first: float32 values, so that they print their exact bits. */
  readonly logprobs: readonly number[];
  /** [length][vocabulary], only when asked for. */
  readonly logits?: readonly (readonly number[])[];
}

export async function scoreFile(model: string, file: string, withLogits: boolean): Promise<Score> {
  const ids = await readIds(file);
  const logprobs = [...(await scoreIds(model, ids))];
  return withLogits ? { logprobs, logits: await logitRows(model, ids) } : { logprobs };
}

async function logitRows(model: string, ids: Int32Array): Promise<number[][]> {
  const native = loadNative();
  const { shape, weights } = await readCheckpoint(model);
  const flat = await native.logits(native.createWeights(shape, weights), ids);
  return Array.from(ids, (_, row) => [...flat.subarray(row * shape.vocabSize, (row + 1) * shape.vocabSize)]);
}

async function readIds(file: string): Promise<Int32Array> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new EspalierError('config', `--ids ${file}: ${messageOf(cause)}`, { cause });
  }
  if (!Array.isArray(value) || !value.every((id) => Number.isSafeInteger(id) && id >= 0)) {
    throw new EspalierError('config', `--ids ${file} is not a JSON array of token ids, e.g. [12, 7, 905]`);
  }
  return Int32Array.from(value as number[]);
}
