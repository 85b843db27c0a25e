/**
 * The safetensors format: u64 header length, JSON header, tensors back to back, all little-endian.
 *
 * Not covered: types other than F32, which are refused by name.
 *
 * Invariants:
 * 1. What is read was checked: the header's size, each tensor's bounds, dimensions against bytes, and that tensors
 *    neither overlap nor leave holes.
 * 2. Writing is a function of the tensors alone, so equal tensors make equal files.
 */
import { EspalierError } from '../core/errors.ts';

export interface NamedTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** As the reference implementation: a longer header is an attack or a mistake. */
const headerLimit = 100_000_000;

/** The file's tensors, in the order of their bytes. `file` names it in errors. */
export function readSafetensors(bytes: Uint8Array, file: string): NamedTensor[] {
  const fail = (what: string): never => {
    throw new EspalierError('checkpoint', `${file}: ${what}; write the checkpoint again or fetch it anew`);
  };
  if (bytes.length < 8) return fail(`${bytes.length} bytes are too few for a safetensors file`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerBytes = view.getBigUint64(0, true);
  if (headerBytes > BigInt(headerLimit)) return fail(`a header of ${headerBytes} bytes is over the limit`);
  const dataStart = 8 + Number(headerBytes);
  if (dataStart > bytes.length) return fail(`the header of ${headerBytes} bytes ends beyond the file`);
  const entries = parseHeader(bytes.subarray(8, dataStart), fail);
  let end = 0;
  const tensors: NamedTensor[] = [];
  for (const { name, dtype, dims, from, to } of entries.sort((a, b) => a.from - b.from || a.to - b.to)) {
    if (dtype !== 'F32') {
      throw new EspalierError('checkpoint', `${file}: ${name} is ${dtype}; convert the weights to F32 first`);
    }
    if (from < end) return fail(`${name} overlaps the tensor before it at byte ${from}`);
    if (from > end) return fail(`a hole of ${from - end} bytes lies before ${name}`);
    const size = dims.reduce((product, dim) => product * dim, 4);
    if (to - from !== size) return fail(`${name} has ${to - from} bytes, its shape [${dims}] asks for ${size}`);
    if (dataStart + to > bytes.length) return fail(`${name} ends at byte ${dataStart + to}, beyond the file`);
    tensors.push({ name, dims, data: floats(bytes, dataStart + from, (to - from) / 4) });
    end = to;
  }
  if (dataStart + end !== bytes.length) return fail(`${bytes.length - dataStart - end} bytes follow the last tensor`);
  return tensors;
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
  const lead = Buffer.alloc(8);
  lead.writeBigUInt64LE(BigInt(encoded.length));
  return [lead, encoded, ...tensors.map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength))];
}

interface Entry {
  readonly name: string;
  readonly dtype: string;
  readonly dims: readonly number[];
  readonly from: number;
  readonly to: number;
}

function parseHeader(bytes: Uint8Array, fail: (what: string) => never): Entry[] {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return fail('the header is not JSON');
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) return fail('the header is no object');
  const entries: Entry[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const { dtype, shape, data_offsets: offsets } = value as { dtype: unknown; shape: unknown; data_offsets: unknown };
    if (typeof dtype !== 'string' || !isCounts(shape) || !isCounts(offsets) || offsets.length !== 2) {
      return fail(`the entry of ${name} is not a tensor`);
    }
    const [from, to] = offsets as [number, number];
    if (to < from) return fail(`${name} ends at byte ${to}, before it starts at ${from}`);
    entries.push({ name, dtype, dims: shape, from, to });
  }
  return entries;
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((each) => Number.isSafeInteger(each) && each >= 0);
}

/** A view where alignment allows it, else a copy. */
function floats(bytes: Uint8Array, offset: number, length: number): Float32Array {
  const start = bytes.byteOffset + offset;
  if (start % 4 === 0) return new Float32Array(bytes.buffer, start, length);
  return new Float32Array(Uint8Array.from(bytes.subarray(offset, offset + length * 4)).buffer);
}
