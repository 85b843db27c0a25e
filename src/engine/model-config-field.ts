/** Fields of a config.json, checked one by one. Every fault is a `config` error of one line with field and value. */
import { EspalierError } from '../core/errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** Sizes multiply to allocations: what the kernels take (native/binding/handles.cc). No real model comes near. */
const most: Readonly<Record<string, number>> = {
  vocab_size: 2 ** 22,
  hidden_size: 2 ** 17,
  intermediate_size: 2 ** 19,
  num_hidden_layers: 2 ** 12,
  num_attention_heads: 2 ** 12,
  num_key_value_heads: 2 ** 12,
  head_dim: 2 ** 12,
  max_position_embeddings: 2 ** 22,
};
const mostCount = 2 ** 31 - 1;

/** `prefix` names the object that holds the field, with a dot. */
export function count(config: JsonObject, field: string, prefix = ''): number {
  const value = config[field];
  const limit = most[field] ?? mostCount;
  if (isCount(value) && value <= limit) return value;
  throw unsupported(prefix + field, value, `it must be a whole number from 1 to ${limit}`);
}

/** A missing field is `otherwise`, which must be a count as well: it is a quotient of other fields. */
export function optionalCount(config: JsonObject, field: string, otherwise: number): number {
  return count({ [field]: config[field] ?? otherwise }, field);
}

export function positive(config: JsonObject, field: string, otherwise: number | undefined, prefix = ''): number {
  const value = config[field] ?? otherwise;
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
  throw unsupported(prefix + field, value, 'it must be a number above 0');
}

export function unsupported(field: string, value: unknown, wayOut: string): EspalierError {
  return new EspalierError('config', `config.json: ${field} is ${shown(value)}; ${wayOut}`);
}

/** A value of a file for an error: JSON, or what can be said of it where that is long or nested too deep to write. */
export function shown(value: unknown): string {
  try {
    const text = JSON.stringify(value) ?? 'missing';
    return text.length > 200 ? `${text.slice(0, 200)}...` : text;
  } catch {
    return `${Array.isArray(value) ? 'an array' : 'an object'} that is nested too deep`;
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}
