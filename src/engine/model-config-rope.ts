/**
 * The rotary embedding's fields of a config.json: `rope_parameters` (transformers 5) and the older `rope_theta` and
 * `rope_scaling`.
 *
 * Invariants:
 * 1. The types `default` and `llama3` are read; any other, and any parameter that is not one of theirs, is an error.
 * 2. A folder may say the same thing in the old place and in the new one; where types or scaling differ it is refused.
 *    `rope_theta` beside them counts only where they have none, as in transformers.
 */
import type { Llama3Scaling, ModelShape } from '../native/native.ts';
import { count, type JsonObject, positive, shown, unsupported } from './model-config-field.ts';

export interface Rope {
  readonly theta: number;
  /** Not given: `default`. */
  readonly scaling?: Llama3Scaling;
}

/** What `rope_parameters` or `rope_scaling` may hold; each comes from a file. */
type Fields = JsonObject & {
  readonly [Field in
    | 'rope_type'
    | 'type'
    | 'rope_theta'
    | 'rope_scaling'
    | 'rope_parameters'
    | 'partial_rotary_factor'
    | 'factor'
    | 'original_max_position_embeddings']?: unknown;
};

const sharedFields = ['rope_type', 'type', 'rope_theta', 'partial_rotary_factor'];
const llama3Fields = ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'];
const defaultTheta = 10_000;

/** `contextLength` is max_position_embeddings. Throws a `config` error that names the field and its value. */
export function readRope(config: Fields, contextLength: number): Rope {
  const places = (['rope_parameters', 'rope_scaling'] as const).flatMap((place) => {
    const value = config[place];
    if (value === undefined || value === null) return [];
    if (typeof value !== 'object' || Array.isArray(value)) throw unsupported(place, value, 'it must be an object');
    return [{ place, rope: readPlace(config, place, value as Fields, contextLength) }];
  });
  const [first, second] = places;
  if (first === undefined) return { theta: positive(config, 'rope_theta', defaultTheta) };
  if (second !== undefined && JSON.stringify(first.rope) !== JSON.stringify(second.rope)) {
    throw unsupported('rope_scaling', config.rope_scaling, `rope_parameters is ${shown(config.rope_parameters)}`);
  }
  return first.rope;
}

/** The fields that say the same to transformers 5 and to older readers. */
export function ropeFields({ ropeTheta, ropeScaling }: ModelShape): JsonObject {
  if (ropeScaling === undefined) {
    return { rope_theta: ropeTheta, rope_parameters: { rope_type: 'default', rope_theta: ropeTheta } };
  }
  const scaling = {
    rope_type: 'llama3',
    factor: ropeScaling.factor,
    low_freq_factor: ropeScaling.lowFrequencyFactor,
    high_freq_factor: ropeScaling.highFrequencyFactor,
    original_max_position_embeddings: ropeScaling.originalContextLength,
  };
  return {
    rope_theta: ropeTheta,
    rope_scaling: scaling,
    rope_parameters: { ...scaling, rope_theta: ropeTheta },
  };
}

function readPlace(config: Fields, place: string, given: Fields, contextLength: number): Rope {
  const prefix = `${place}.`;
  const kind = given.rope_type ?? given.type ?? 'default';
  for (const field of ['rope_type', 'type'] as const) {
    const value = given[field];
    if (value === undefined || value === null || (value === kind && (kind === 'default' || kind === 'llama3')))
      continue;
    throw unsupported(prefix + field, value, 'this engine computes default and llama3');
  }
  const known = kind === 'llama3' ? [...sharedFields, ...llama3Fields] : sharedFields;
  for (const [field, value] of Object.entries(given)) {
    if (!known.includes(field) && value !== null) throw unsupported(prefix + field, value, `${kind} has no such field`);
  }
  if ((given.partial_rotary_factor ?? 1) !== 1) {
    throw unsupported(`${prefix}partial_rotary_factor`, given.partial_rotary_factor, 'this engine computes it as 1');
  }
  const theta =
    given.rope_theta === undefined || given.rope_theta === null
      ? positive(config, 'rope_theta', defaultTheta)
      : positive(given, 'rope_theta', undefined, prefix);
  return kind === 'llama3' ? { theta, scaling: readScaling(config, prefix, given, contextLength) } : { theta };
}

function readScaling(config: Fields, prefix: string, given: Fields, contextLength: number): Llama3Scaling {
  const factor = positive(given, 'factor', undefined, prefix);
  if (factor < 1) throw unsupported(`${prefix}factor`, factor, 'it must be at least 1');
  const lowFrequencyFactor = positive(given, 'low_freq_factor', undefined, prefix);
  const highFrequencyFactor = positive(given, 'high_freq_factor', undefined, prefix);
  if (highFrequencyFactor <= lowFrequencyFactor) {
    throw unsupported(`${prefix}high_freq_factor`, highFrequencyFactor, `low_freq_factor is ${lowFrequencyFactor}`);
  }
  const original = 'original_max_position_embeddings';
  const originalContextLength = given[original] === undefined ? contextLength : count(given, original, prefix);
  const outside = config[original] ?? originalContextLength;
  if (outside !== originalContextLength) {
    throw unsupported(original, outside, `${prefix}${original} is ${originalContextLength}`);
  }
  return { factor, lowFrequencyFactor, highFrequencyFactor, originalContextLength };
}
