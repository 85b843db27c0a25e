import { EspalierError, messageOf } from '../core/errors.ts';
import { loadNative, type Native } from '../native/native.ts';
import { readCheckpoint } from './checkpoint.ts';
import { checkIds } from './trie-batch.ts';

/**
 * Log-probability, in nats, of each token after the first under a model folder's weights: shape [length - 1]. Flat,
 * cold, batch 1, one thread: the bits that sampling and training must reproduce.
 */
export async function scoreIds(
  directory: string,
  ids: Int32Array,
  native: Native = loadNative(),
): Promise<Float32Array> {
  const { shape, weights } = await readCheckpoint(directory);
  checkIds(ids, shape.vocabSize, 'token');
  if (ids.length < 2 || ids.length > shape.contextLength) {
    throw new EspalierError('engine', `a model of context ${shape.contextLength} cannot score ${ids.length} tokens`);
  }
  try {
    return await native.score(native.createWeights(shape, weights), ids);
  } catch (cause) {
    throw new EspalierError('engine', `score failed: ${messageOf(cause)}`, { cause });
  }
}
