import fc from 'fast-check';
import { expect, it } from 'vitest';
import { GrowingIds } from './growing-ids.ts';

it('shows what a copy would, whichever path goes on from which, and never something else', () => {
  const ids = fc.array(fc.nat({ max: 9 }), { maxLength: 5 });
  const step = fc.record({ from: fc.nat(), cut: fc.nat({ max: 3 }), tail: ids, reply: ids });
  fc.assert(
    fc.property(ids, fc.array(step, { maxLength: 12 }), (first, steps) => {
      const paths = [GrowingIds.of(Int32Array.from(first))];
      const copies = [first];
      for (const { from, cut, tail, reply } of steps) {
        const at = from % paths.length;
        const length = Math.max(0, (copies[at] as number[]).length - (cut > 1 ? cut : 0));
        const parts = [tail, reply].map((part) => Int32Array.from(part));
        paths.push((paths[at] as GrowingIds).continued(length, ...parts));
        copies.push([...(copies[at] as number[]).slice(0, length), ...tail, ...reply]);
        expect(paths.map((path) => [...path.ids])).toEqual(copies);
      }
    }),
  );
});

it('holds a conversation once', () => {
  let path = GrowingIds.of(Int32Array.of(1));
  const buffers = new Set<ArrayBufferLike>();
  for (let turn = 0; turn < 1000; turn++) {
    path = path.continued(path.ids.length, Int32Array.of(turn));
    buffers.add(path.ids.buffer);
  }
  expect(buffers.size).toBeLessThan(25);
});
