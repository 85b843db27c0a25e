import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readSafetensors, safetensorsPieces } from './safetensors.ts';

const tensors = [
  { name: 'b', dims: [2, 3], data: Float32Array.of(1, 2, 3, -0, Number.POSITIVE_INFINITY, 5e-324) },
  { name: 'a', dims: [0], data: new Float32Array(0) },
  { name: 'c', dims: [1], data: Float32Array.of(7) },
];
const written = () => Buffer.concat(safetensorsPieces(tensors));
/** A file with this header and `size` bytes of data. */
const withHeader = (header: unknown, size: number) => {
  const text = Buffer.from(JSON.stringify(header));
  const lead = Buffer.alloc(8);
  lead.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([lead, text, Buffer.alloc(size)]);
};
const entry = (from: number, to: number, shape = [(to - from) / 4], dtype = 'F32') => ({
  dtype,
  shape,
  data_offsets: [from, to],
});

test('tensors survive the file, aligned or not', () => {
  expect(readSafetensors(written(), 'file').sort((x, y) => x.name.localeCompare(y.name))).toEqual([
    tensors[1],
    tensors[0],
    tensors[2],
  ]);
  const shifted = Buffer.concat([Buffer.alloc(1), written()]).subarray(1);
  expect(readSafetensors(shifted, 'file')[0]?.data.length).toBe(6);
});

test('data starts at a multiple of 8 bytes', () => {
  const [lead, header] = safetensorsPieces(tensors);
  expect(((lead?.length ?? 0) + (header?.length ?? 0)) % 8).toBe(0);
});

test.for([
  ['too few', Buffer.alloc(3)],
  ['over the limit', Buffer.alloc(16, 0xff)],
  ['beyond the file', Buffer.concat([Buffer.of(100, 0, 0, 0, 0, 0, 0, 0), Buffer.alloc(8)])],
  ['not JSON', Buffer.concat([Buffer.of(2, 0, 0, 0, 0, 0, 0, 0), Buffer.from('{[')])],
  ['overlaps', withHeader({ a: entry(0, 8), b: entry(4, 12) }, 12)],
  ['a hole of 4 bytes', withHeader({ a: entry(0, 4), b: entry(8, 12) }, 12)],
  ['beyond the file', withHeader({ a: entry(0, 8) }, 4)],
  ['4 bytes follow', withHeader({ a: entry(0, 8) }, 12)],
  ['its shape [3] asks for 12', withHeader({ a: entry(0, 8, [3]) }, 8)],
  ['before it starts', withHeader({ a: entry(8, 4, [1]) }, 8)],
  ['a is F64; convert', withHeader({ a: entry(0, 8, [1], 'F64') }, 8)],
  ['a is toString; convert', withHeader({ a: entry(0, 8, [1], 'toString') }, 8)],
  ['its shape [2] asks for 4', withHeader({ a: entry(0, 8, [2], 'BF16') }, 8)],
  ['not a tensor', withHeader({ a: { dtype: 'F32' } }, 0)],
  ['not a tensor', withHeader({ a: null }, 0)],
  ['not a tensor', withHeader({ a: entry(0, 8, [-2]) }, 8)],
  ['its shape [9007199254740991,9007199254740991] asks', withHeader({ a: entry(0, 8, [2 ** 53 - 1, 2 ** 53 - 1]) }, 8)],
  ['beyond the file', withHeader({ a: entry(0, 2 ** 52) }, 8)],
  ['the header is no object', withHeader([1], 0)],
] as const)('a wrong file is refused: %s', ([message, bytes]) => {
  expect(() => readSafetensors(bytes, 'model.safetensors')).toThrow(message);
});

test('every F16 and BF16 number is read as the float32 number that it is', () => {
  const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
  const read = (dtype: string) => {
    const file = withHeader({ a: entry(0, 131072, [65536], dtype) }, 131072);
    new Uint8Array(all.buffer).forEach((byte, at) => {
      file[file.length - 131072 + at] = byte;
    });
    return readSafetensors(file, 'file')[0]?.data ?? [];
  };
  const value = (bits: number, exponentBits: number, fractionBits: number): number => {
    const sign = bits >> 15 === 1 ? -1 : 1;
    const most = 2 ** exponentBits - 1;
    const exponent = (bits >> fractionBits) & most;
    const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
    const bias = (most - 1) / 2;
    if (exponent === most) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    return sign * (exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias));
  };
  expect([...read('F16')]).toEqual([...all].map((bits) => value(bits, 5, 10)));
  expect([...read('BF16')]).toEqual([...all].map((bits) => value(bits, 8, 7)));
});

test('a damaged header never gives anything but an error or tensors within the file', () => {
  fc.assert(
    fc.property(fc.nat({ max: 200 }), fc.integer({ min: 0, max: 255 }), (at, value) => {
      const bytes = written();
      bytes[at % bytes.length] = value;
      try {
        for (const { data } of readSafetensors(bytes, 'file')) expect(data.byteLength).toBeLessThan(bytes.length);
      } catch (thrown) {
        expect(thrown).toMatchObject({ name: 'CheckpointError' });
      }
    }),
    { seed: 20261125, numRuns: 500 },
  );
});
