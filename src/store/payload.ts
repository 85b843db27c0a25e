/**
 * A payload of named little-endian arrays behind a JSON header: `u32 header length, header, padding to 4, arrays`.
 *
 * The header is `{ ...fields, arrays: [[name, type, length], ...] }`; arrays follow in that order, each padded to 4
 * bytes. What fields and arrays mean is the record's business.
 */
import { EspalierError, messageOf } from '../core/errors.ts';

export type PayloadArray = Int32Array | Float32Array | Uint8Array;

export interface Payload {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly arrays: Readonly<Record<string, PayloadArray>>;
}

const types = { i4: Int32Array, f4: Float32Array, u1: Uint8Array } as const;
type ArrayCode = keyof typeof types;
const pad = (length: number): number => (length + 3) & ~3;
const codeOf = (array: PayloadArray): ArrayCode =>
  array instanceof Int32Array ? 'i4' : array instanceof Float32Array ? 'f4' : 'u1';

const utf8 = new TextEncoder();
const text = new TextDecoder();

export function encodePayload(payload: Payload): Uint8Array {
  const arrays = Object.entries(payload.arrays);
  const list = arrays.map(([name, array]) => [name, codeOf(array), array.length]);
  const header = utf8.encode(JSON.stringify({ ...payload.fields, arrays: list }));
  let size = pad(4 + header.length);
  for (const [, array] of arrays) size += pad(array.byteLength);
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setUint32(0, header.length, true);
  bytes.set(header, 4);
  let offset = pad(4 + header.length);
  for (const [, array] of arrays) {
    bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), offset);
    offset += pad(array.byteLength);
  }
  return bytes;
}

/** The fields, and how long each array is. Throws EspalierError('store') when malformed. */
export function decodeHeader(bytes: Uint8Array): {
  readonly fields: Payload['fields'];
  readonly lengths: Readonly<Record<string, number>>;
} {
  try {
    const { arrays, ...fields } = headerOf(bytes).header;
    return { fields, lengths: Object.fromEntries(arrays.map(([name, , length]) => [name, length])) };
  } catch (cause) {
    throw new EspalierError('store', `a record cannot be read: ${messageOf(cause)}`, { cause });
  }
}

interface Header {
  readonly arrays: readonly (readonly [name: string, code: ArrayCode, length: number])[];
}

/** And where the arrays begin. */
function headerOf(bytes: Uint8Array): { readonly header: Header; readonly start: number } {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  return { header: JSON.parse(text.decode(bytes.subarray(4, 4 + length))) as Header, start: pad(4 + length) };
}

/** Copies out of `bytes`. The arrays of one payload share one buffer. Throws EspalierError('store') when malformed. */
export function decodePayload(bytes: Uint8Array): Payload {
  try {
    const { header, start } = headerOf(bytes);
    const { arrays: list, ...fields } = header;
    // Buffer.slice would not copy.
    const copy = new Uint8Array(bytes.subarray(start));
    const arrays: Record<string, PayloadArray> = {};
    let offset = 0;
    for (const [name, code, count] of list) {
      const array = new types[code](copy.buffer, offset, count);
      arrays[name] = array;
      offset += pad(array.byteLength);
    }
    return { fields, arrays };
  } catch (cause) {
    throw new EspalierError('store', `a record cannot be read: ${messageOf(cause)}`, { cause });
  }
}
