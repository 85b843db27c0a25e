/**
 * The safetensors format: u64 header length, JSON header, tensors back to back, all little-endian.
 *
 * Not covered: types other than F32, F16 and BF16, which are refused by name. Files: safetensors-file.ts.
 *
 * Invariants:
 * 1. What is read was checked: the header's size, each tensor's bounds, dimensions against bytes, and that tensors
 *    neither overlap nor leave holes.
 * 2. Every F16 and BF16 number is a float32 number: reading changes no value.
 * 3. Writing is a function of the tensors alone, so equal tensors make equal files.
 */
import { EspalierError } from '../core/errors.ts';
import { decodeFloats, widthOf } from './safetensors-types.ts';

export interface NamedTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** A tensor as the header describes it. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: string;
  readonly dims: readonly number[];
  /** Bytes of the file, from its start. */
  readonly from: number;
  readonly to: number;
}

/** As the reference implementation: a longer header is an attack or a mistake. */
const headerLimit = 100_000_000;
/** No tensor of a language model has more; errors print them. */
const mostDims = 8;
/** What `headerLength` needs. */
export const leadBytes = 8;

/** Bytes of the header, from the first `leadBytes` of a file of `fileBytes`. `file` names it in errors. */
export function headerLength(lead: Uint8Array, fileBytes: number, file: string): number {
  if (lead.length < leadBytes) throw damaged(file, `${lead.length} bytes are too few for a safetensors file`);
  const length = new DataView(lead.buffer, lead.byteOffset, leadBytes).getBigUint64(0, true);
  if (length > BigInt(headerLimit)) throw damaged(file, `a header of ${length} bytes is over the limit`);
  if (leadBytes + Number(length) > fileBytes) throw damaged(file, `the header of ${length} bytes ends beyond the file`);
  return Number(length);
}

/** The tensors of a header, in the order of their bytes, which fill the file to its end. */
export function readHeader(header: Uint8Array, fileBytes: number, file: string): TensorEntry[] {
  const entries = parseEntries(header, leadBytes + header.length, file);
  let end = leadBytes + header.length;
  for (const { name, dtype, dims, from, to } of entries.sort((a, b) => a.from - b.from || a.to - b.to)) {
    const width = widthOf(dtype);
    if (width === undefined) {
      throw new EspalierError(
        'checkpoint',
        `${file}: ${name} is ${dtype}; convert the weights to F32, F16 or BF16 first`,
      );
    }
    if (from < end) throw damaged(file, `${name} overlaps the tensor before it at byte ${from}`);
    if (from > end) throw damaged(file, `a hole of ${from - end} bytes lies before ${name}`);
    const size = dims.reduce((product, dim) => product * dim, width);
    if (to - from !== size) throw damaged(file, `${name} has ${to - from} bytes, its shape [${dims}] asks for ${size}`);
    if (to > fileBytes) throw damaged(file, `${name} ends at byte ${to}, beyond the file`);
    end = to;
  }
  if (end !== fileBytes) throw damaged(file, `${fileBytes - end} bytes follow the last tensor`);
  return entries;
}

/** The tensors of a whole file in memory, in the order of their bytes. */
export function readSafetensors(bytes: Uint8Array, file: string): NamedTensor[] {
  const length = headerLength(bytes.subarray(0, leadBytes), bytes.length, file);
  const entries = readHeader(bytes.subarray(leadBytes, leadBytes + length), bytes.length, file);
  return entries.map(({ name, dims, dtype, from, to }) => ({
    name,
    dims,
    data: decodeFloats(dtype, bytes.subarray(from, to)),
  }));
}

/** The file in pieces, header first, to be written or hashed in order. The pieces are views of the tensors. */
export function safetensorsPieces(
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>> = { format: 'pt' },
): Uint8Array[] {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const { name, dims, data } of tensors) {
    header[name] = { dtype: 'F32', shape: dims, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  let text = JSON.stringify(header);
  const length = Buffer.byteLength(text);
  text += ' '.repeat((8 - (length % 8)) % 8);
  const encoded = Buffer.from(text);
  const lead = Buffer.alloc(leadBytes);
  lead.writeBigUInt64LE(BigInt(encoded.length));
  return [lead, encoded, ...tensors.map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength))];
}

function parseEntries(bytes: Uint8Array, dataStart: number, file: string): TensorEntry[] {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw damaged(file, 'the header is not JSON');
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) {
    throw damaged(file, 'the header is no object');
  }
  const entries: TensorEntry[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Readonly<Record<string, unknown>>;
    const isTensor = typeof dtype === 'string' && isCounts(shape) && shape.length <= mostDims;
    if (!isTensor || !isCounts(offsets) || offsets.length !== 2) {
      throw damaged(file, `the entry of ${name} is not a tensor`);
    }
    const [from, to] = offsets as [number, number];
    if (to < from) throw damaged(file, `${name} ends at byte ${to}, before it starts at ${from}`);
    entries.push({ name, dtype, dims: shape, from: dataStart + from, to: dataStart + to });
  }
  return entries;
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((each) => Number.isSafeInteger(each) && each >= 0);
}

/** The error of a file that is not what safetensors says. */
export function damaged(file: string, what: string): EspalierError {
  return new EspalierError('checkpoint', `${file}: ${what}; write the checkpoint again or fetch it anew`);
}
