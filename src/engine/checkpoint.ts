/**
 * A Hugging Face model folder in and out: what is trained here loads in vLLM and transformers.
 *
 * Invariants:
 * 1. Every tensor of the shape is there with its dimensions, and no other, or reading fails by name.
 * 2. Files beside the weights (tokenizer, chat template, generation configuration) and configuration fields unknown here
 *    are carried along untouched; only the number type that config.json names becomes that of the weights, float32.
 * 3. Equal checkpoints write equal bytes.
 * 4. Weights above a size are written as shards, as transformers does (checkpoint-shards.ts); what they are does not
 *    depend on it, nor does their identity.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { EspalierError } from '../core/errors.ts';
import type { ModelShape, Tensors } from '../native/native.ts';
import { readModelFile, readModelJson } from '../tokens/model-file.ts';
import { shardFiles } from './checkpoint-shards.ts';
import { readTensors, readWeights } from './checkpoint-weights.ts';
import { type DurableFile, writeDurableDirectory } from './durable-directory.ts';
import { type JsonObject, parseModelConfig, sizeOf, tensorSpecs } from './model-config.ts';
import { type NamedTensor, safetensorsPieces } from './safetensors.ts';

export interface Checkpoint {
  readonly shape: ModelShape;
  /** config.json as it was read or made. */
  readonly config: JsonObject;
  readonly weights: Tensors;
  /** Moments and step count, or null when the folder has none. */
  readonly optimizer: Tensors | null;
  /** Carried files by name: tokenizer.json and what else was there of the list below. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

const tokenizerFile = 'tokenizer.json';
const carriedFiles = [
  tokenizerFile,
  'tokenizer_config.json',
  'chat_template.jinja',
  'generation_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'tokenizer.model',
  'vocab.json',
  'merges.txt',
  'LICENSE',
] as const;
const optimizerFile = 'optimizer.safetensors';

/** Reads a folder. Throws a `checkpoint` or `config` error, one line, that names the file and what is wrong. */
export async function readCheckpoint(directory: string): Promise<Checkpoint> {
  const config: JsonObject | null = await readModelJson(join(directory, 'config.json'));
  if (config === null) throw missing(directory, 'config.json', 'it is not a model folder');
  const shape = parseModelConfig(config);
  const files = new Map<string, Uint8Array>();
  for (const name of carriedFiles) {
    const bytes = await readModelFile(join(directory, name));
    if (bytes !== null) files.set(name, bytes);
  }
  if (!files.has(tokenizerFile)) {
    throw missing(directory, tokenizerFile, 'copy the tokenizer files of the model into the folder');
  }
  const weights = await readWeights(directory, shape);
  const optimizer = await readTensors(join(directory, optimizerFile));
  return { shape, config, weights, optimizer, files };
}

export interface WriteOptions {
  /** More than these bytes of weights are written as shards with an index, none larger unless one tensor is. */
  readonly maxShardBytes?: number;
}

/** As transformers and huggingface_hub split by themselves. */
const usualShardBytes = 5_000_000_000;

/** Writes the folder whole or not at all; replaces one that is there. */
export async function writeCheckpoint(
  directory: string,
  checkpoint: Checkpoint,
  { maxShardBytes = usualShardBytes }: WriteOptions = {},
): Promise<void> {
  const config = Buffer.from(`${JSON.stringify(writtenConfig(checkpoint.config), null, 2)}\n`);
  const files: DurableFile[] = [{ name: 'config.json', pieces: [config] }];
  for (const [name, bytes] of checkpoint.files) files.push({ name, pieces: [bytes] });
  files.push(...shardFiles(weightTensors(checkpoint), maxShardBytes));
  if (checkpoint.optimizer !== null) {
    files.push({ name: optimizerFile, pieces: safetensorsPieces(oneDimensional(checkpoint.optimizer)) });
  }
  await writeDurableDirectory(directory, files);
}

/** sha256, in hex, of the weights as model.safetensors would hold them: the identity of a snapshot. */
export function snapshotSha256(checkpoint: Pick<Checkpoint, 'shape' | 'weights'>): string {
  const hash = createHash('sha256');
  for (const piece of safetensorsPieces(weightTensors(checkpoint))) hash.update(piece);
  return hash.digest('hex');
}

/** transformers casts weights to the type that the configuration names: bfloat16 there would round them. */
function writtenConfig(config: JsonObject): JsonObject {
  const types = ['torch_dtype', 'dtype'].filter((field) => config[field] !== undefined && config[field] !== 'float32');
  return types.length === 0 ? config : { ...config, ...Object.fromEntries(types.map((field) => [field, 'float32'])) };
}

function weightTensors({ shape, weights }: Pick<Checkpoint, 'shape' | 'weights'>): NamedTensor[] {
  const data = new Map(weights.names.map((name, i) => [name, weights.data[i] as Float32Array]));
  return tensorSpecs(shape).map((spec): NamedTensor => {
    const values = data.get(spec.name);
    if (values?.length === sizeOf(spec.dims)) return { ...spec, data: values };
    const found = values === undefined ? 'is missing' : `has ${values.length} values`;
    throw new EspalierError('checkpoint', `${spec.name} ${found}; its shape is [${spec.dims}]`);
  });
}

function oneDimensional({ names, data }: Tensors): NamedTensor[] {
  return names.map((name, i) => {
    const values = data[i] as Float32Array;
    return { name, dims: [values.length], data: values };
  });
}

function missing(directory: string, name: string, wayOut: string): EspalierError {
  return new EspalierError('checkpoint', `model folder ${directory} has no ${name}; ${wayOut}`);
}
