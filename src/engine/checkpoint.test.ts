import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ModelShape } from '../native/native.ts';
import { readCheckpoint, snapshotSha256, writeCheckpoint } from './checkpoint.ts';
import { randomCheckpoint } from './random-checkpoint.ts';

const shape: ModelShape = {
  vocabSize: 20,
  hiddenSize: 8,
  intermediateSize: 12,
  layerCount: 1,
  headCount: 2,
  kvHeadCount: 1,
  headDim: 4,
  ropeTheta: 10000,
  normEpsilon: 1e-6,
  tiedEmbeddings: true,
  qkNorm: true,
  contextLength: 32,
};
const files = new Map([
  ['tokenizer.json', Buffer.from('{"model":{}}')],
  ['chat_template.jinja', Buffer.from('{{ messages }}')],
]);
const checkpoint = randomCheckpoint(shape, 5n, files);
let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'espalier-checkpoint-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test('a checkpoint survives its folder, optimizer and carried files too', async () => {
  const model = join(directory, 'deep', 'whole');
  const optimizer = { names: ['step', 'm.a'], data: [Float32Array.of(3), Float32Array.of(1, 2)] };
  const config = { ...checkpoint.config, some_new_field: [1] };
  await writeCheckpoint(model, { ...checkpoint, config, optimizer });
  const read = await readCheckpoint(model);
  expect(read.shape).toEqual(shape);
  expect(read.config).toEqual(config);
  expect(read.weights).toEqual(checkpoint.weights);
  expect(read.optimizer).toEqual(optimizer);
  expect([...read.files.keys()]).toEqual([...files.keys()]);
  expect(snapshotSha256(read)).toBe(snapshotSha256(checkpoint));
});

test('a folder names the number type of its weights, and files of any age of tokenizer are carried along', async () => {
  const model = join(directory, 'typed');
  const carried = new Map([...files, ['tokenizer.model', Buffer.of(1, 2)], ['merges.txt', Buffer.from('a b')]]);
  const config = { ...checkpoint.config, torch_dtype: 'bfloat16', dtype: 'float16' };
  await writeCheckpoint(model, { ...checkpoint, config, files: carried });
  const read = await readCheckpoint(model);
  expect(read.config).toEqual({ ...checkpoint.config, torch_dtype: 'float32', dtype: 'float32' });
  expect([...read.files.keys()]).toEqual([...carried.keys()]);
});

test('writing again replaces the folder whole, and equal checkpoints are equal bytes', async () => {
  const model = join(directory, 'again');
  await writeCheckpoint(model, { ...checkpoint, optimizer: { names: ['a'], data: [Float32Array.of(1)] } });
  const first = await readFile(join(model, 'model.safetensors'));
  await writeCheckpoint(model, checkpoint);
  expect(await readFile(join(model, 'model.safetensors'))).toEqual(first);
  expect((await readdir(model)).sort()).toEqual(
    ['config.json', 'model.safetensors', 'tokenizer.json', 'chat_template.jinja'].sort(),
  );
  expect((await readdir(directory)).filter((name) => name.startsWith('again'))).toEqual(['again']);
});

test('a folder that lacks something says what', async () => {
  const model = join(directory, 'lacking');
  await writeCheckpoint(model, checkpoint);
  await rm(join(model, 'tokenizer.json'));
  await expect(readCheckpoint(model)).rejects.toThrow(/has no tokenizer.json; copy the tokenizer files/);
  await expect(readCheckpoint(join(directory, 'nowhere'))).rejects.toThrow(/has no config.json; it is not a model/);
  await writeFile(join(model, 'tokenizer.json'), '{}');
  await rm(join(model, 'model.safetensors'));
  await expect(readCheckpoint(model)).rejects.toThrow(/has no model.safetensors/);
});

test('weights and config.json that disagree are named', async () => {
  const model = join(directory, 'disagree');
  await writeCheckpoint(model, checkpoint);
  const config = JSON.parse(await readFile(join(model, 'config.json'), 'utf8'));
  await writeFile(join(model, 'config.json'), JSON.stringify({ ...config, num_hidden_layers: 2 }));
  await expect(readCheckpoint(model)).rejects.toThrow(/model.layers.1.input_layernorm.weight is missing/);
  await writeFile(join(model, 'config.json'), JSON.stringify({ ...config, vocab_size: 21 }));
  await expect(readCheckpoint(model)).rejects.toThrow(/embed_tokens.weight is \[20,8\], not \[21,8\]/);
});

test('a place that cannot be written is one clear line', async () => {
  const model = join(directory, 'again', 'config.json', 'model');
  await expect(writeCheckpoint(model, checkpoint)).rejects.toThrow(/^cannot write .*check that it can be written/);
});

test('random weights are a function of shape and seed, and blocks start as the identity', () => {
  expect(snapshotSha256(randomCheckpoint(shape, 5n))).toBe(snapshotSha256(checkpoint));
  expect(snapshotSha256(randomCheckpoint(shape, 6n))).not.toBe(snapshotSha256(checkpoint));
  const { names, data } = checkpoint.weights;
  const zeros = names.filter((_, i) => data[i]?.every((value) => value === 0));
  expect(zeros).toEqual(['model.layers.0.self_attn.o_proj.weight', 'model.layers.0.mlp.down_proj.weight']);
  const biased = randomCheckpoint({ ...shape, attentionBias: 'qkvo' }, 5n).weights;
  const biases = biased.names.filter((name) => name.endsWith('.bias'));
  expect(biases.length).toBe(4);
  for (const name of biases) expect(biased.data[biased.names.indexOf(name)]?.every((value) => value === 0)).toBe(true);
});
