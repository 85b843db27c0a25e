import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BlockNode, BlockTrie } from './block-trie.ts';

const seed = 20261125;

/** Reuses what matches, then writes the rest, as a sequence of the sampler does. Null when blocks ran out. */
function run(trie: BlockTrie, root: BlockNode, ids: Int32Array): { path: BlockNode[]; reused: number } | null {
  const match = trie.match(root, ids, ids.length);
  const path = [...match.full];
  for (const node of path) trie.retain(node);
  let depth = path.length * trie.blockTokens;
  const start = depth;
  while (depth < ids.length) {
    const node = trie.append(path.at(-1) ?? root);
    if (node === null) {
      trie.release(path);
      return null;
    }
    path.push(node);
    const count = Math.min(trie.blockTokens, ids.length - depth);
    node.tokens.set(ids.subarray(depth, depth + count));
    node.length = count;
    depth += count;
    if (count === trie.blockTokens) path[path.length - 1] = trie.settle(node);
  }
  return { path, reused: start };
}

const pathIds = (path: readonly BlockNode[]) => path.flatMap((node) => [...node.tokens.subarray(0, node.length)]);

test('blocks are never handed out twice, matches name real prefixes, and idle blocks can all be had again', () => {
  const sequence = fc.record({
    ids: fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 14 }),
    keep: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(sequence, { maxLength: 30 }), (sequences) => {
      const trie = new BlockTrie(8, 4);
      const root = trie.openRoot();
      const held: BlockNode[][] = [];
      for (const { ids, keep } of sequences) {
        const asked = Int32Array.from(ids);
        const match = trie.match(root, asked, asked.length);
        const reused = [...pathIds(match.full), ...(match.partial?.tokens.subarray(0, match.partialTokens) ?? [])];
        expect(reused).toEqual(ids.slice(0, match.tokens));
        const needed = Math.ceil(ids.length / 4);
        const free = trie.available;
        const result = run(trie, root, asked);
        if (result === null) {
          expect(needed).toBeGreaterThan(free - match.full.filter((node) => node.users === 0).length);
          held.splice(0).forEach((path) => {
            trie.release(path);
          });
          continue;
        }
        expect(pathIds(result.path)).toEqual(ids);
        if (keep) held.push(result.path);
        else trie.release(result.path);
        const inUse = new Set(held.flat().map((node) => node.block));
        expect(inUse.size).toBe(new Set(held.flat()).size);
        expect(trie.available).toBe(8 - inUse.size);
      }
      for (const path of held) trie.release(path);
      expect(trie.available).toBe(8);
    }),
    { seed, numRuns: 300 },
  );
});

test('a prompt that ends inside a block finds the block to copy from', () => {
  const trie = new BlockTrie(4, 4);
  const root = trie.openRoot();
  trie.release(run(trie, root, Int32Array.of(1, 2, 3, 4, 5, 6))?.path ?? []);
  const match = trie.match(root, Int32Array.of(1, 2, 3, 4, 5, 9), 6);
  expect([match.full.length, match.partialTokens, match.tokens]).toEqual([1, 1, 5]);
  expect(trie.match(root, Int32Array.of(1, 2, 3, 4), 3).partialTokens).toBe(3);
});

test('the longest unused leaf goes first, and a parent outlives its children', () => {
  const trie = new BlockTrie(3, 2);
  const root = trie.openRoot();
  for (const ids of [Int32Array.of(1, 1, 2, 2), Int32Array.of(3, 3)]) trie.release(run(trie, root, ids)?.path ?? []);
  trie.release(run(trie, root, Int32Array.of(4, 4))?.path ?? []);
  expect(trie.match(root, Int32Array.of(1, 1, 2, 2), 4).tokens).toBe(2);
  expect(trie.match(root, Int32Array.of(3, 3), 2).tokens).toBe(2);
});

test('two sequences that compute the same block at once end on one block', () => {
  const trie = new BlockTrie(4, 2);
  const root = trie.openRoot();
  const [a, b] = [trie.append(root) as BlockNode, trie.append(root) as BlockNode];
  for (const node of [a, b]) {
    node.tokens.set([7, 8]);
    node.length = 2;
  }
  expect(trie.settle(a)).toBe(b);
  expect(b.users).toBe(2);
  expect(trie.available).toBe(3);
});

test('a dropped root gives idle blocks back at once and used ones on release', () => {
  const trie = new BlockTrie(4, 2);
  const root = trie.openRoot();
  const used = run(trie, root, Int32Array.of(1, 1, 2, 2))?.path ?? [];
  trie.release(run(trie, root, Int32Array.of(3, 3))?.path ?? []);
  trie.dropRoot(root);
  expect(trie.available).toBe(2);
  expect(root.children.length).toBe(1);
  trie.release(used);
  expect(root.children.length).toBe(0);
  expect(trie.available).toBe(4);
});
