import fc from 'fast-check';
import { expect, test } from 'vitest';
import { layoutTrajectories } from './layout.ts';
import { TokenTrie, type TriePosition } from './token-trie.ts';

const seed = 20261125;
const path = fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 12 });
const paths = fc.array(path, { maxLength: 14 });
const prefixesOf = (all: readonly (readonly number[])[]) =>
  new Set(all.flatMap((ids) => ids.map((_, i) => ids.slice(0, i + 1).join())));

test('a trie holds every distinct prefix once, and matches as deep as a set of prefixes does', () => {
  fc.assert(
    fc.property(paths, path, (stored, asked) => {
      const trie = new TokenTrie();
      for (const ids of stored) trie.insert(Int32Array.from(ids));
      const prefixes = prefixesOf(stored);
      expect(trie.tokenCount).toBe(prefixes.size);
      let depth = 0;
      while (depth < asked.length && prefixes.has(asked.slice(0, depth + 1).join())) depth++;
      const found = trie.match(Int32Array.from(asked));
      expect(found.depth).toBe(depth);
      expect([...trie.idsOf(found)]).toEqual(asked.slice(0, depth));
    }),
    { seed },
  );
});

test('a position that was held before later insertions and splits still names the same tokens', () => {
  fc.assert(
    fc.property(paths, (stored) => {
      const trie = new TokenTrie();
      const held: TriePosition[] = [];
      for (const ids of stored) {
        held.push(trie.insert(Int32Array.from(ids)));
        for (const position of held) trie.split({ ...position, depth: position.depth >> 1 });
      }
      stored.forEach((ids, i) => {
        expect([...trie.idsOf(held[i] as TriePosition)]).toEqual(ids);
      });
    }),
    { seed },
  );
});

test('forking at a position equals inserting the whole path', () => {
  fc.assert(
    fc.property(paths, path, path, (stored, head, tail) => {
      const trie = new TokenTrie();
      for (const ids of stored) trie.insert(Int32Array.from(ids));
      const at = trie.insert(Int32Array.from(head));
      for (const ids of stored) trie.insert(Int32Array.from([...head, ...ids]));
      const end = trie.fork(at, Int32Array.from(tail));
      expect([...trie.idsOf(end)]).toEqual([...head, ...tail]);
      expect(trie.match(Int32Array.from([...head, ...tail]))).toEqual(end);
    }),
    { seed },
  );
});

test('every trajectory reads back from the layout, shared prefixes on shared nodes', () => {
  fc.assert(
    fc.property(paths, (stored) => {
      const layout = layoutTrajectories(stored.map((ids) => Int32Array.from(ids)));
      expect(layout.tokens.length).toBe(prefixesOf(stored).size);
      const nodeOfPrefix = new Map<string, number>();
      stored.forEach((ids, i) => {
        const nodes = layout.nodes[i] as Int32Array;
        expect([...nodes].map((node) => layout.tokens[node])).toEqual(ids);
        nodes.forEach((node, t) => {
          const prefix = ids.slice(0, t + 1).join();
          expect(nodeOfPrefix.get(prefix) ?? node).toBe(node);
          nodeOfPrefix.set(prefix, node);
        });
      });
      expect(new Set(nodeOfPrefix.values()).size).toBe(layout.tokens.length);
    }),
    { seed },
  );
});

test('layout spans are maximal, in pre-order, and every subtree is one contiguous range', () => {
  fc.assert(
    fc.property(paths, (stored) => {
      const { tokens, spanStart, spanParent } = layoutTrajectories(stored.map((ids) => Int32Array.from(ids)));
      const spans = spanParent.length;
      expect(spanStart[spans]).toBe(tokens.length);
      const path: number[] = [];
      const childCount = new Array<number>(spans).fill(0);
      for (let s = 0; s < spans; s++) {
        expect(spanStart[s + 1]).toBeGreaterThan(spanStart[s] as number);
        const parent = spanParent[s] as number;
        while (path.length > 0 && path.at(-1) !== parent) path.pop();
        expect(path.at(-1) ?? -1).toBe(parent);
        path.push(s);
        if (parent >= 0) childCount[parent] = (childCount[parent] as number) + 1;
      }
      expect(childCount).not.toContain(1);
    }),
    { seed },
  );
});

test('children and roots follow in insertion order, also after a split', () => {
  const { tokens, spanParent } = layoutTrajectories([
    Int32Array.of(5, 1, 2),
    Int32Array.of(9),
    Int32Array.of(5, 1, 3),
    Int32Array.of(5, 0),
    Int32Array.of(4),
  ]);
  expect([...tokens]).toEqual([5, 1, 2, 3, 0, 9, 4]);
  expect([...spanParent]).toEqual([-1, 0, 1, 1, 0, -1, -1]);
});

test('a trajectory that is a prefix of another shares its span, whichever came first', () => {
  const [short, long] = [Int32Array.of(1, 2), Int32Array.of(1, 2, 3)];
  for (const order of [
    [short, long],
    [long, short],
  ]) {
    const { spanStart, spanParent } = layoutTrajectories(order);
    expect([...spanStart]).toEqual([0, 3]);
    expect([...spanParent]).toEqual([-1]);
  }
});
