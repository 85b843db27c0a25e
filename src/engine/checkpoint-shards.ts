/**
 * Weights as the files of a model folder: one model.safetensors, or shards and the index that lists them, in the names
 * and the layout of transformers (`save_pretrained`), so that every reader of such folders reads them.
 */
import { EspalierError } from '../core/errors.ts';
import { indexFile, weightsFile } from './checkpoint-weights.ts';
import type { DurableFile } from './durable-directory.ts';
import { type NamedTensor, safetensorsPieces } from './safetensors.ts';

/** Tensors keep their order. A shard exceeds `mostBytes` of tensors only when it is one tensor. */
export function shardFiles(tensors: readonly NamedTensor[], mostBytes: number): DurableFile[] {
  if (!Number.isSafeInteger(mostBytes) || mostBytes < 1) {
    throw new EspalierError('config', `maxShardBytes is ${mostBytes}; it must be a whole number of bytes above 0`);
  }
  const shards = split(tensors, mostBytes);
  if (shards.length <= 1) return [{ name: weightsFile, pieces: safetensorsPieces(tensors) }];
  const nameOf = (shard: number): string => `model-${padded(shard + 1)}-of-${padded(shards.length)}.safetensors`;
  const weightMap = Object.fromEntries(shards.flatMap((shard, i) => shard.map(({ name }) => [name, nameOf(i)])));
  const index = { metadata: { total_size: sizeOf(tensors) }, weight_map: weightMap };
  return [
    ...shards.map((shard, i) => ({ name: nameOf(i), pieces: safetensorsPieces(shard) })),
    { name: indexFile, pieces: [Buffer.from(`${JSON.stringify(index, null, 2)}\n`)] },
  ];
}

function split(tensors: readonly NamedTensor[], mostBytes: number): NamedTensor[][] {
  const shards: NamedTensor[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const tensor of tensors) {
    if (bytes + tensor.data.byteLength > mostBytes) {
      shards.push([]);
      bytes = 0;
    }
    shards.at(-1)?.push(tensor);
    bytes += tensor.data.byteLength;
  }
  return shards;
}

const sizeOf = (tensors: readonly NamedTensor[]): number => tensors.reduce((sum, { data }) => sum + data.byteLength, 0);
const padded = (number: number): string => String(number).padStart(5, '0');
