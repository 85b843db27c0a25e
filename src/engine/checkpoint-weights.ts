/**
 * The weights of a model folder: one model.safetensors, or shards that model.safetensors.index.json lists.
 *
 * Invariants:
 * 1. Every tensor of the shape is there once with its dimensions, and no other, or reading fails by name; that is known
 *    from the headers, before any value is read.
 * 2. Every value is finite.
 */
import { join } from 'node:path';
import { EspalierError } from '../core/errors.ts';
import type { ModelShape, Tensors } from '../native/native.ts';
import { readModelJson } from '../tokens/model-file.ts';
import { tensorSpecs } from './model-config.ts';
import { shown } from './model-config-field.ts';
import type { TensorEntry } from './safetensors.ts';
import { openSafetensors, type SafetensorsFile } from './safetensors-file.ts';

export const weightsFile = 'model.safetensors';
export const indexFile = 'model.safetensors.index.json';

/** The shape's tensors in canonical order. Throws `checkpoint` errors that name the file and what is wrong. */
export async function readWeights(directory: string, shape: ModelShape): Promise<Tensors> {
  const open: SafetensorsFile[] = [];
  try {
    return await readFound(await openWeights(directory, open), shape);
  } finally {
    for (const file of open) await file[Symbol.asyncDispose]();
  }
}

async function readFound(found: FoundTensors, shape: ModelShape): Promise<Tensors> {
  const specs = tensorSpecs(shape);
  const redundant = shape.tiedEmbeddings ? found.take('lm_head.weight') : undefined;
  const places = specs.map(({ name, dims }) => {
    const place = found.take(name);
    if (place === undefined) throw mismatch(found.name, `${name} is missing`);
    const has = place.entry.dims;
    if (has.join() !== dims.join()) throw mismatch(found.name, `${name} is [${has}], not [${dims}]`);
    return place;
  });
  const extra = found.rest();
  if (extra !== undefined) throw mismatch(found.name, `${extra} is not part of the model`);
  const data: Float32Array[] = [];
  for (const place of places) data.push(await readFinite(place));
  if (redundant !== undefined) await checkTied(redundant, data[0] as Float32Array, found.name);
  return { names: specs.map(({ name }) => name), data };
}

/** All tensors of one file, flat, or null when there is none: an optimizer's state. */
export async function readTensors(path: string): Promise<Tensors | null> {
  const file = await openSafetensors(path);
  if (file === null) return null;
  await using _ = file;
  const data: Float32Array[] = [];
  for (const entry of file.entries) data.push(await readFinite({ file, entry }));
  return { names: file.entries.map(({ name }) => name), data };
}

interface Place {
  readonly file: SafetensorsFile;
  readonly entry: TensorEntry;
}

/** Tensors by name; `take` gives each once. */
class FoundTensors {
  readonly name: string;
  readonly #places = new Map<string, Place>();

  /** `name` is the file that errors name. */
  constructor(name: string) {
    this.name = name;
  }

  add(file: SafetensorsFile, shardOf?: ReadonlyMap<string, string>, shard?: string): void {
    for (const entry of file.entries) {
      const { name } = entry;
      const listed = shardOf?.get(name);
      if (shardOf !== undefined && listed !== shard) {
        const says = listed === undefined ? 'does not list it' : `says that it is in ${listed}`;
        throw new EspalierError('checkpoint', `${file.path} holds ${name}, but ${indexFile} ${says}`);
      }
      this.#places.set(name, { file, entry });
    }
  }

  take(name: string): Place | undefined {
    const place = this.#places.get(name);
    this.#places.delete(name);
    return place;
  }

  /** A tensor that nobody took. Old folders carry the rotary frequencies, which every reader computes. */
  rest(): string | undefined {
    return [...this.#places.keys()].find((name) => !name.endsWith('.rotary_emb.inv_freq'));
  }
}

/** Files that were opened are in `open`, also when this throws. */
async function openWeights(directory: string, open: SafetensorsFile[]): Promise<FoundTensors> {
  const single = await openSafetensors(join(directory, weightsFile));
  if (single !== null) {
    const found = new FoundTensors(single.path);
    open.push(single);
    found.add(single);
    return found;
  }
  const path = join(directory, indexFile);
  const shardOf = await readIndex(path);
  if (shardOf === null) {
    const wayOut = `it needs a safetensors file, or shards and ${indexFile}`;
    throw new EspalierError('checkpoint', `model folder ${directory} has no ${weightsFile}; ${wayOut}`);
  }
  const found = new FoundTensors(path);
  const present = new Set<string>();
  for (const shard of new Set(shardOf.values())) {
    const file = await openSafetensors(join(directory, shard));
    if (file === null) throw new EspalierError('checkpoint', `${path} lists ${shard}, which is not there`);
    open.push(file);
    found.add(file, shardOf, shard);
    for (const { name } of file.entries) present.add(name);
  }
  for (const [name, shard] of shardOf) {
    if (!present.has(name))
      throw new EspalierError('checkpoint', `${path}: ${shard} lacks ${name}, which it should hold`);
  }
  return found;
}

/** Shard by tensor name; null when there is no index. */
async function readIndex(path: string): Promise<ReadonlyMap<string, string> | null> {
  const index: { readonly weight_map?: unknown } | null = await readModelJson(path);
  if (index === null) return null;
  const map = index.weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw new EspalierError('checkpoint', `${path} has no weight_map object; fetch it anew`);
  }
  const entries = Object.entries(map);
  for (const [name, shard] of entries) {
    // A plain name: an index must not reach out of its folder.
    const isPlain = typeof shard === 'string' && /^[^/\\\0]+\.safetensors$/.test(shard);
    if (!isPlain) throw new EspalierError('checkpoint', `${path}: the shard of ${name} is ${shown(shard)}`);
  }
  return new Map(entries as [string, string][]);
}

async function readFinite({ file, entry }: Place): Promise<Float32Array> {
  const values = await file.read(entry);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    // Only NaN and the infinities.
    if (value - value !== 0) throw notFinite(file.path, `${entry.name} holds ${value} at element ${i}`);
  }
  return values;
}

function notFinite(path: string, what: string): EspalierError {
  return new EspalierError('checkpoint', `${path}: ${what}; weights must be finite, fetch or train them anew`);
}

/** A head that is written beside tied embeddings must be their copy: readers disagree on what another one means. */
async function checkTied(head: Place, embedding: Float32Array, file: string): Promise<void> {
  const values = await head.file.read(head.entry);
  const same = values.length === embedding.length && values.every((value, i) => value === embedding[i]);
  if (!same) throw mismatch(file, 'tie_word_embeddings is true, but lm_head.weight differs from the embeddings');
}

function mismatch(file: string, what: string): EspalierError {
  return new EspalierError('checkpoint', `${file} and config.json disagree: ${what}`);
}
