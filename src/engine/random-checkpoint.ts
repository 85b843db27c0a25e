/** Weights to start from: a function of the shape and the seed alone. */
import { Random, seedOf } from '../core/random.ts';
import type { ModelShape } from '../native/native.ts';
import type { Checkpoint } from './checkpoint.ts';
import { modelConfigOf, sizeOf, type TensorSpec, tensorSpecs } from './model-config.ts';

/**
 * Projections are normal with deviation 1/sqrt(inputs), embeddings 0.5/sqrt(hidden); o_proj and down_proj are 0, so
 * that every block starts as the identity; norm gains are 1, biases 0.
 *
 * `files` are the tokenizer's, carried along; a folder without them can be written but not read.
 */
export function randomCheckpoint(
  shape: ModelShape,
  seed: bigint,
  files: ReadonlyMap<string, Uint8Array> = new Map(),
): Checkpoint {
  const specs = tensorSpecs(shape);
  const data = specs.map((spec) => initialValues(spec, seed));
  return {
    shape,
    config: modelConfigOf(shape),
    weights: { names: specs.map(({ name }) => name), data },
    optimizer: null,
    files,
  };
}

function initialValues({ name, dims }: TensorSpec, seed: bigint): Float32Array {
  const values = new Float32Array(sizeOf(dims));
  if (dims.length === 1) return values.fill(name.endsWith('.bias') ? 0 : 1);
  if (name.endsWith('o_proj.weight') || name.endsWith('down_proj.weight')) return values;
  const gain = name === 'model.embed_tokens.weight' ? 0.5 : 1;
  return fillNormal(values, gain / Math.sqrt(dims[1] as number), new Random(seedOf(String(seed), name)));
}

/** Box-Muller. */
function fillNormal(values: Float32Array, deviation: number, random: Random): Float32Array {
  for (let i = 0; i < values.length; i += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log(1 - random.next()));
    const angle = 2 * Math.PI * random.next();
    values[i] = radius * Math.cos(angle);
    if (i + 1 < values.length) values[i + 1] = radius * Math.sin(angle);
  }
  return values;
}
