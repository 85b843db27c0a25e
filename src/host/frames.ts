/**
 * Frames of the host protocol, version 1: u32 length of what follows, u32 length of the header, the header as JSON,
 * then the header's blobs back to back. Numbers and blobs are little-endian, as is every machine that Node 24 runs on.
 *
 * Invariants:
 * 1. A frame that is longer than the limit, or whose parts do not add up, is an error: the stream cannot be trusted on.
 * 2. Blobs that come out are copies with buffers of their own.
 */
import { EspalierError } from '../core/errors.ts';

export type Blob = Int32Array | Float32Array | Float64Array;

/** A message and the arrays that go with it; which arrays, the message's type says (messages.ts). */
export interface Frame {
  readonly message: unknown;
  readonly blobs: readonly Blob[];
}

interface Header {
  readonly m: unknown;
  /** Kind and element count of each blob. */
  readonly b?: readonly (readonly ['i' | 'f' | 'd', number])[];
}

const frameLimit = 2 ** 31;
const prefixBytes = 8;

export function encodeFrame({ message, blobs }: Frame): Buffer {
  const described: Header =
    blobs.length === 0 ? { m: message } : { m: message, b: blobs.map((b) => [kindOf(b), b.length]) };
  const header = JSON.stringify(described);
  const headerBytes = Buffer.byteLength(header);
  const total = blobs.reduce((sum, blob) => sum + blob.byteLength, prefixBytes + headerBytes);
  const bytes = Buffer.allocUnsafe(total);
  bytes.writeUInt32LE(total - 4, 0);
  bytes.writeUInt32LE(headerBytes, 4);
  bytes.write(header, prefixBytes);
  let at = prefixBytes + headerBytes;
  for (const blob of blobs) {
    bytes.set(new Uint8Array(blob.buffer, blob.byteOffset, blob.byteLength), at);
    at += blob.byteLength;
  }
  return bytes;
}

/** Puts chunks of a byte stream together to frames. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #length = 0;
  #needed = prefixBytes;

  push(chunk: Buffer): Frame[] {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#length < this.#needed) return [];
    let bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#length);
    const frames: Frame[] = [];
    for (;;) {
      this.#needed = bytes.length < 4 ? prefixBytes : 4 + bytes.readUInt32LE(0);
      if (this.#needed > frameLimit || this.#needed < prefixBytes) throw broken(`a frame of ${this.#needed} bytes`);
      if (bytes.length < this.#needed) break;
      frames.push(decodeFrame(bytes.subarray(0, this.#needed)));
      bytes = bytes.subarray(this.#needed);
    }
    this.#chunks = bytes.length === 0 ? [] : [bytes];
    this.#length = bytes.length;
    return frames;
  }
}

function decodeFrame(bytes: Buffer): Frame {
  const headerBytes = bytes.readUInt32LE(4);
  let at = prefixBytes + headerBytes;
  if (at > bytes.length) throw broken(`a header of ${headerBytes} bytes in a frame of ${bytes.length}`);
  let header: Header;
  try {
    header = JSON.parse(bytes.toString('utf8', prefixBytes, at)) as Header;
  } catch (cause) {
    throw broken('a header that is not JSON', cause);
  }
  const blobs = (header.b ?? []).map(([kind, length]) => {
    const blob = blank(kind, length);
    if (at + blob.byteLength > bytes.length) throw broken(`a blob of ${blob.byteLength} bytes beyond its frame`);
    new Uint8Array(blob.buffer).set(bytes.subarray(at, at + blob.byteLength));
    at += blob.byteLength;
    return blob;
  });
  if (at !== bytes.length) throw broken(`${bytes.length - at} bytes after the last blob`);
  return { message: header.m, blobs };
}

function kindOf(blob: Blob): 'i' | 'f' | 'd' {
  if (blob instanceof Int32Array) return 'i';
  return blob instanceof Float32Array ? 'f' : 'd';
}

function blank(kind: 'i' | 'f' | 'd', length: number): Blob {
  if (!Number.isSafeInteger(length) || length < 0 || length * 8 > frameLimit * 2) throw broken(`a blob of ${length}`);
  if (kind === 'i') return new Int32Array(length);
  return kind === 'f' ? new Float32Array(length) : new Float64Array(length);
}

function broken(what: string, cause?: unknown): EspalierError {
  return new EspalierError('engine', `the engine's connection carried ${what}; restart the engine`, { cause });
}
