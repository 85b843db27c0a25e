import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeFrame, FrameReader } from './frames.ts';

const seed = 20261125;
const blob = fc.oneof(
  fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })).map((values) => Int32Array.from(values)),
  fc.array(fc.float()).map((values) => Float32Array.from(values)),
  fc.array(fc.double()).map((values) => Float64Array.from(values)),
);
const frame = fc.record({
  message: fc.record({ type: fc.string(), call: fc.nat() }, { noNullPrototype: true }),
  blobs: fc.array(blob, { maxLength: 4 }),
});

test('frames come out as they went in, wherever the stream is cut', () => {
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 6 }), fc.array(fc.nat({ max: 60 }), { minLength: 1 }), (frames, cuts) => {
      const bytes = Buffer.concat(frames.map(encodeFrame));
      const reader = new FrameReader();
      const read = [];
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = 1 + (cuts[i % cuts.length] as number);
        read.push(...reader.push(bytes.subarray(at, at + size)));
        at += size;
      }
      expect(read).toEqual(frames);
    }),
    { seed },
  );
});

test('bytes that are no frame are an engine error', () => {
  const wrong = [
    Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
    Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]),
    Buffer.from([6, 0, 0, 0, 99, 0, 0, 0, 1, 1]),
    Buffer.from([6, 0, 0, 0, 2, 0, 0, 0, 1, 1]),
  ];
  for (const bytes of wrong) expect(() => new FrameReader().push(bytes)).toThrow(/connection carried/);
  const cut = encodeFrame({ message: 1, blobs: [Int32Array.of(1, 2)] });
  cut.writeUInt32LE(cut.length - 8, 0);
  expect(() => new FrameReader().push(cut.subarray(0, cut.length - 4))).toThrow(/beyond its frame/);
});
