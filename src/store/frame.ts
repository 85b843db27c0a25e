/**
 * One frame on disk: a header of 24 bytes and a payload, all little-endian.
 *
 * | offset | bytes | field |
 * |---|---|---|
 * | 0 | 2 | magic 0xE59A |
 * | 2 | 1 | format version, 2 |
 * | 3 | 1 | kind |
 * | 4 | 4 | length of the payload |
 * | 8 | 4 | writer |
 * | 12 | 6 | sequence: 0, 1, ... without a gap in a writer's chain |
 * | 18 | 2 | place: how many frames stand before it in the same write |
 * | 20 | 4 | CRC-32C of header bytes 0 to 19 and the payload |
 *
 * A write is synced before the next one begins. So a whole frame proves that all frames before its write were durable,
 * and nothing of those in its write: that is how a torn write is told from damage. Version 1 had no place; its two bytes
 * are 0, so that each of its frames counts as a write of its own.
 *
 * Nothing here knows what a payload means.
 */
import { crc32c } from './crc32c.ts';

export const headerBytes = 24;
const magic = 0xe59a;
const formatVersion = 2;
const oldestVersion = 1;
/** Frames of one write. */
export const maxFramesAWrite = 0x10000;

/** Numbers are on disk: never reuse one. */
export const frameKinds = {
  session: 1,
  messageBlock: 2,
  turn: 3,
  outcome: 4,
  verdict: 5,
  batchManifest: 6,
  version: 7,
  note: 8,
  removed: 9,
} as const;
export type FrameKind = keyof typeof frameKinds;

const kindOfNumber = new Map(
  Object.entries(frameKinds).map(([kind, number]): [number, FrameKind] => [number, kind as FrameKind]),
);

export interface Frame {
  readonly writer: number;
  readonly sequence: number;
  /** Frames before it in the same write. */
  readonly place: number;
  readonly kind: FrameKind;
  /** A view into a whole segment: copy what is kept. */
  readonly payload: Uint8Array;
}

/** `parts` are written one after the other as the payload. */
export function encodeFrame(
  kind: FrameKind,
  { writer, sequence, place }: Pick<Frame, 'writer' | 'sequence' | 'place'>,
  parts: readonly Uint8Array[],
): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const bytes = new Uint8Array(headerBytes + length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, magic, true);
  view.setUint8(2, formatVersion);
  view.setUint8(3, frameKinds[kind]);
  view.setUint32(4, length, true);
  view.setUint32(8, writer, true);
  view.setUint32(12, sequence, true);
  view.setUint16(16, sequence / 2 ** 32, true);
  view.setUint16(18, place, true);
  let offset = headerBytes;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  view.setUint32(20, checksum(bytes), true);
  return bytes;
}

const checksum = (frame: Uint8Array): number =>
  crc32c(frame.subarray(headerBytes), crc32c(frame.subarray(0, headerBytes - 4)));

export type DecodedFrame =
  | { readonly status: 'frame'; readonly frame: Frame; readonly end: number }
  /** The bytes from `offset` on are no whole frame, for this reason. */
  | { readonly status: 'broken'; readonly reason: string };

/** Reads the frame at `offset`; never throws. */
export function decodeFrame(bytes: Uint8Array, offset: number): DecodedFrame {
  const left = bytes.length - offset;
  if (left < headerBytes) return broken(`${left} bytes are no frame header`);
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, headerBytes);
  if (view.getUint16(0, true) !== magic) return broken('no frame begins here');
  const version = view.getUint8(2);
  if (version < oldestVersion || version > formatVersion) return broken(`format version ${version} is unknown`);
  const kind = kindOfNumber.get(view.getUint8(3));
  if (kind === undefined) return broken(`frame kind ${view.getUint8(3)} is unknown`);
  const length = view.getUint32(4, true);
  if (headerBytes + length > left) return broken(`a frame of ${headerBytes + length} bytes ends after ${left}`);
  const end = offset + headerBytes + length;
  if (checksum(bytes.subarray(offset, end)) !== view.getUint32(20, true)) return broken('the checksum differs');
  const payload = bytes.subarray(offset + headerBytes, end);
  const sequence = view.getUint32(12, true) + view.getUint16(16, true) * 2 ** 32;
  const place = view.getUint16(18, true);
  return { status: 'frame', frame: { writer: view.getUint32(8, true), sequence, place, kind, payload }, end };
}

const broken = (reason: string): DecodedFrame => ({ status: 'broken', reason });

/** Whole frames that begin at or after `from`, whatever stands between them. */
export function* findFrames(bytes: Uint8Array, from: number): Generator<Frame> {
  for (let offset = bytes.indexOf(magic & 0xff, from); offset >= 0; offset = bytes.indexOf(magic & 0xff, offset + 1)) {
    if (bytes[offset + 1] !== magic >> 8) continue;
    const decoded = decodeFrame(bytes, offset);
    if (decoded.status === 'frame') yield decoded.frame;
  }
}
