/**
 * The sampler's prefix cache: gives a sequence the blocks that hold a prefix of its prompt already, and room for the
 * rest. Keys and values lie in the native cache, the books in a block trie.
 *
 * Invariants:
 * 1. A sequence that was admitted never runs out of blocks: `promised` blocks of running sequences stay available.
 * 2. Blocks are copied and handed out between forward calls only.
 * 3. Memory is taken once, when it is made, and never grows: a block is had from those free, or from the longest unused
 *    that no running sequence needs.
 * 4. At least one prompt token is left to compute, since its logits are needed.
 */

import { EspalierError } from '../../../core/errors.ts';
import type { Cache, ModelShape, Native } from '../../../native/native.ts';
import { type BlockNode, BlockTrie } from '../../../trie/block-trie.ts';
import type { Sequence } from './sequence.ts';

export class PrefixCache {
  readonly blockTokens: number;
  readonly cache: Cache;
  readonly #blockBytes: number;
  readonly #native: Native;
  readonly #trie: BlockTrie;
  #promised = 0;

  constructor(native: Native, shape: ModelShape, blockCount: number) {
    this.#native = native;
    this.cache = native.createCache(shape, blockCount);
    this.#blockBytes = native.cacheBlockBytes(shape);
    this.blockTokens = native.cacheBlockTokens();
    this.#trie = new BlockTrie(blockCount, this.blockTokens);
  }

  /** Memory of the blocks that hold something, and how many went so that another could be had. */
  get facts(): { readonly cacheBytes: number; readonly evictedBlocks: number } {
    return { cacheBytes: this.#trie.held * this.#blockBytes, evictedBlocks: this.#trie.evicted };
  }

  openRoot(): BlockNode {
    return this.#trie.openRoot();
  }

  dropRoot(root: BlockNode): void {
    this.#trie.dropRoot(root);
  }

  /** Prompt tokens that need not be computed. */
  cachedTokens(root: BlockNode, ids: Int32Array): number {
    return this.#trie.match(root, ids, ids.length - 1).tokens;
  }

  /** Gives the sequence its cached prefix and a promise of `needed` blocks; false when they cannot be had now. */
  admit(sequence: Sequence, needed: number): boolean {
    const { root } = sequence.generation;
    const { full, partial, partialTokens } = this.#trie.match(root, sequence.ids, sequence.promptLength - 1);
    const newlyUsed = full.filter((node) => node.users === 0).length;
    if (this.#trie.available - newlyUsed < this.#promised + needed - full.length) return false;
    for (const node of full) {
      this.#trie.retain(node);
      sequence.path.push(node);
    }
    sequence.computed = full.length * this.blockTokens;
    this.#promised += needed - full.length;
    if (partial !== null) this.#takePartial(sequence, partial, partialTokens);
    return true;
  }

  /** Blocks for positions up to `end`. */
  extend(sequence: Sequence, end: number): void {
    while (sequence.path.length * this.blockTokens < end) {
      const node = this.#trie.append(sequence.path.at(-1) ?? sequence.generation.root);
      if (node === null) throw new EspalierError('engine', 'a promised cache block is not there');
      sequence.path.push(node);
      this.#promised--;
    }
  }

  /** Notes that the forward wrote positions up to `end`; from now on others may share them. */
  commit(sequence: Sequence, end: number): void {
    const { path, ids } = sequence;
    for (let at = sequence.computed; at < end; ) {
      const index = Math.floor(at / this.blockTokens);
      const start = index * this.blockTokens;
      const to = Math.min(end, start + this.blockTokens);
      const node = path[index] as BlockNode;
      node.tokens.set(ids.subarray(at, to), at - start);
      node.length = to - start;
      if (node.length === this.blockTokens) path[index] = this.#trie.settle(node);
      at = to;
    }
    sequence.computed = end;
  }

  /** The sequence's blocks stay cached for who comes next; its promise ends. */
  release(sequence: Sequence, needed: number): void {
    this.#promised -= needed - sequence.path.length;
    this.#trie.release(sequence.path);
    sequence.path.length = 0;
  }

  /** Goes on in the block itself when nobody else needs it, as a session's next turn does; copies it otherwise. */
  #takePartial(sequence: Sequence, partial: BlockNode, tokens: number): void {
    const alone = partial.users === 0 && partial.length === tokens;
    this.#trie.retain(partial);
    if (alone) {
      sequence.path.push(partial);
    } else {
      const node = this.#trie.append(sequence.path.at(-1) ?? sequence.generation.root);
      if (node !== null) {
        this.#native.copyBlock(this.cache, partial.block, node.block, tokens);
        node.tokens.set(partial.tokens.subarray(0, tokens));
        node.length = tokens;
        sequence.path.push(node);
      }
      this.#trie.release([partial]);
      if (node === null) return;
    }
    sequence.computed += tokens;
    this.#promised--;
  }
}
