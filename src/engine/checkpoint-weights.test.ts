import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ModelShape } from '../native/native.ts';
import { readTensors, readWeights } from './checkpoint-weights.ts';
import { tensorSpecs } from './model-config.ts';
import { randomCheckpoint } from './random-checkpoint.ts';
import { type NamedTensor, safetensorsPieces } from './safetensors.ts';

const shape: ModelShape = {
  vocabSize: 10,
  hiddenSize: 4,
  intermediateSize: 6,
  layerCount: 1,
  headCount: 2,
  kvHeadCount: 1,
  headDim: 2,
  ropeTheta: 10000,
  normEpsilon: 1e-6,
  tiedEmbeddings: true,
  qkNorm: false,
  attentionBias: 'qkv',
  contextLength: 8,
};
const { weights } = randomCheckpoint(shape, 3n);
const tensors = tensorSpecs(shape).map(
  (spec, at): NamedTensor => ({ ...spec, data: weights.data[at] as Float32Array }),
);
const index = 'model.safetensors.index.json';
const [one, two] = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'] as const;

let root = '';
let directory = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'espalier-weights-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));
beforeEach(async () => {
  directory = await mkdtemp(join(root, 'model-'));
});

const write = (name: string, given: readonly NamedTensor[]) =>
  writeFile(join(directory, name), Buffer.concat(safetensorsPieces(given)));
/** Two shards and an index, with `change` made to its map of names to shards. */
async function writeShards(change: Readonly<Record<string, unknown>> = {}): Promise<void> {
  await write(one, tensors.slice(0, 5));
  await write(two, tensors.slice(5));
  const map = Object.fromEntries(tensors.map(({ name }, at) => [name, at < 5 ? one : two]));
  await writeFile(join(directory, index), JSON.stringify({ metadata: {}, weight_map: { ...map, ...change } }));
}
const changed = (name: string, data: Float32Array) =>
  tensors.map((tensor) => (tensor.name === name ? { ...tensor, data } : tensor));

test('one file and shards give the same weights, in canonical order', async () => {
  await writeShards();
  expect(await readWeights(directory, shape)).toEqual(weights);
  // A single file wins, as in transformers.
  await write('model.safetensors', [...tensors].reverse());
  await rm(join(directory, one));
  expect(await readWeights(directory, shape)).toEqual(weights);
});

test('an index that does not fit its shards is refused by name', async () => {
  const { name } = tensors[0] as NamedTensor;
  await writeShards({ [name]: two });
  await expect(readWeights(directory, shape)).rejects.toThrow(`holds ${name}, but ${index} says that it is in ${two}`);
  await writeShards({ extra: two });
  await expect(readWeights(directory, shape)).rejects.toThrow(`${two} lacks extra, which it should hold`);
  await writeShards({ [name]: undefined });
  await expect(readWeights(directory, shape)).rejects.toThrow(`holds ${name}, but ${index} does not list it`);
  await writeShards({ extra: 'model-00003-of-00003.safetensors' });
  await expect(readWeights(directory, shape)).rejects.toThrow('lists model-00003-of-00003.safetensors, which is not');
});

test.for(['../secret.safetensors', '/etc/passwd', 'a/b.safetensors', 'model.bin', 7, null])(
  'an index must not reach out of its folder: %s',
  async (shard) => {
    await writeShards({ extra: shard });
    await expect(readWeights(directory, shape)).rejects.toThrow(`the shard of extra is ${JSON.stringify(shard)}`);
  },
);

test.for(['', '[', 'null', '[]', '{"weight_map": [1]}'])('an index that is none is refused: %s', async (text) => {
  await writeFile(join(directory, index), text);
  await expect(readWeights(directory, shape)).rejects.toThrow(index);
});

test('a folder without weights says what it needs', async () => {
  await expect(readWeights(directory, shape)).rejects.toThrow(`has no model.safetensors; it needs a safetensors file`);
  await mkdir(join(directory, index));
  await expect(readWeights(directory, shape)).rejects.toThrow('is not a file');
});

test.for([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('a weight of %s is named', async (value) => {
  const name = 'model.layers.0.self_attn.k_proj.bias';
  await write('model.safetensors', changed(name, Float32Array.of(1, value)));
  await expect(readWeights(directory, shape)).rejects.toThrow(`${name} holds ${value} at element 1`);
});

test('a head beside tied embeddings must be their copy', async () => {
  const head = { ...(tensors[0] as NamedTensor), name: 'lm_head.weight' };
  await write('model.safetensors', [...tensors, head]);
  expect(await readWeights(directory, shape)).toEqual(weights);
  await write('model.safetensors', [...tensors, { ...head, data: head.data.map((value) => value + 1) }]);
  await expect(readWeights(directory, shape)).rejects.toThrow(
    'tie_word_embeddings is true, but lm_head.weight differs',
  );
});

test('biases that the configuration does not have, or lacks, are named; old rotary buffers are ignored', async () => {
  const buffer = { name: 'model.layers.0.self_attn.rotary_emb.inv_freq', dims: [1], data: Float32Array.of(1) };
  await write('model.safetensors', [...tensors, buffer]);
  expect(await readWeights(directory, shape)).toEqual(weights);
  const { attentionBias: _, ...unbiased } = shape;
  await expect(readWeights(directory, unbiased)).rejects.toThrow('q_proj.bias is not part of the model');
  const more: ModelShape = { ...shape, attentionBias: 'qkvo' };
  await expect(readWeights(directory, more)).rejects.toThrow('o_proj.bias is missing');
});

test('an optimizer that holds NaN is refused, one that is not there is null', async () => {
  const path = join(directory, 'optimizer.safetensors');
  expect(await readTensors(path)).toBeNull();
  await write('optimizer.safetensors', [{ name: 'a.m', dims: [1], data: Float32Array.of(Number.NaN) }]);
  await expect(readTensors(path)).rejects.toThrow('a.m holds NaN');
});

test('an index with anything in it gives an error or the weights, never a crash', async () => {
  await writeShards();
  const text = JSON.stringify({
    weight_map: Object.fromEntries(tensors.map(({ name }, at) => [name, at < 5 ? one : two])),
  });
  await fc.assert(
    fc.asyncProperty(fc.nat(text.length - 1), fc.nat(text.length), fc.string(), async (at, to, inserted) => {
      await writeFile(join(directory, index), text.slice(0, at) + inserted + text.slice(Math.max(at, to)));
      try {
        expect(await readWeights(directory, shape)).toEqual(weights);
      } catch (thrown) {
        expect(thrown).toMatchObject({ name: 'CheckpointError' });
      }
    }),
    { seed: 20261125, numRuns: 150 },
  );
});
