import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ModelShape } from '../native/native.ts';
import { readCheckpoint, snapshotSha256, writeCheckpoint } from './checkpoint.ts';
import { randomCheckpoint } from './random-checkpoint.ts';

const shape: ModelShape = {
  ...{ vocabSize: 20, hiddenSize: 8, intermediateSize: 12, layerCount: 2, headCount: 2, kvHeadCount: 1, headDim: 4 },
  ...{ ropeTheta: 10_000, normEpsilon: 1e-6, tiedEmbeddings: false, qkNorm: true, contextLength: 32 },
};
const checkpoint = randomCheckpoint(shape, 5n, new Map([['tokenizer.json', Buffer.from('{"model":{}}')]]));
let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'espalier-shards-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const shardsIn = async (model: string): Promise<string[]> =>
  (await readdir(model)).filter((name) => name.startsWith('model')).sort();

test.each([1, 700, 2000])(
  'weights come back from shards of %i bytes, under the same identity',
  async (maxShardBytes) => {
    const model = join(directory, String(maxShardBytes));
    await writeCheckpoint(model, checkpoint, { maxShardBytes });
    const read = await readCheckpoint(model);
    expect(read.weights).toEqual(checkpoint.weights);
    expect(snapshotSha256(read)).toBe(snapshotSha256(checkpoint));

    const index = JSON.parse(await readFile(join(model, 'model.safetensors.index.json'), 'utf8'));
    const names = [...new Set<string>(Object.values(index.weight_map))];
    expect(await shardsIn(model)).toEqual([...names, 'model.safetensors.index.json'].sort());
    const count = String(names.length).padStart(5, '0');
    expect(names[0]).toBe(`model-00001-of-${count}.safetensors`);
    expect(names.at(-1)).toBe(`model-${count}-of-${count}.safetensors`);
    expect(Object.keys(index.weight_map)).toEqual(checkpoint.weights.names);
    expect(index.metadata.total_size).toBe(
      checkpoint.weights.data.reduce((sum, { byteLength }) => sum + byteLength, 0),
    );
  },
);

test('what fits into one file is one, and replaces the shards that were there', async () => {
  const model = join(directory, '700');
  await writeCheckpoint(model, checkpoint);
  expect(await shardsIn(model)).toEqual(['model.safetensors']);
  await expect(writeCheckpoint(model, checkpoint, { maxShardBytes: 0 })).rejects.toThrow(
    'maxShardBytes is 0; it must be',
  );
});
