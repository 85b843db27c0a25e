/**
 * Which cache block holds which tokens: a radix trie whose nodes are blocks of a fixed number of positions. It keeps
 * the books of the sampler's prefix cache; keys and values themselves are the engine's.
 *
 * Not covered: a prefix that ends inside a block is not shared in place; `match` names the block to copy from.
 *
 * Invariants:
 * 1. A node has children only when it is full, so a path's k-th block starts at position k * blockTokens.
 * 2. A retained node's ancestors are retained. Nodes that nobody retains are idle: they stay for later prompts and go,
 *    leaves first and longest unused first, when a block is needed.
 * 3. free + held blocks = blockCount; `available` counts free and idle ones, and that many `append`s succeed.
 * 4. Roots are apart (one for each version of the weights); a dropped root's nodes go when they become idle.
 */
import { commonPrefix } from './common-prefix.ts';
import { IdleList } from './idle-list.ts';

export interface BlockNode {
  /** -1 for a root. */
  readonly block: number;
  readonly parent: BlockNode | null;
  readonly tokens: Int32Array;
  /** Tokens whose keys and values the block holds. */
  length: number;
  children: BlockNode[];
  /** Paths in use that pass here. */
  users: number;
  /** When it became idle, in `release` calls. */
  idleSince: number;
  /** On a root: its version is gone. */
  dropped: boolean;
}

export interface BlockMatch {
  /** Full blocks, in position order. */
  readonly full: readonly BlockNode[];
  /** The block whose first `partialTokens` positions go on with the prompt, or null. */
  readonly partial: BlockNode | null;
  readonly partialTokens: number;
  /** Tokens of `full` and `partial` together. */
  readonly tokens: number;
}

export class BlockTrie {
  readonly blockTokens: number;
  readonly blockCount: number;
  #free: number[];
  #idle = new IdleList<BlockNode>();
  #idleCount = 0;
  #releases = 0;
  #evicted = 0;

  constructor(blockCount: number, blockTokens: number) {
    this.blockCount = blockCount;
    this.blockTokens = blockTokens;
    this.#free = Array.from({ length: blockCount }, (_, i) => blockCount - 1 - i);
  }

  /** Blocks that can be had: free ones and idle ones. */
  get available(): number {
    return this.#free.length + this.#idleCount;
  }

  /** Blocks that hold something, in use or idle. */
  get held(): number {
    return this.blockCount - this.#free.length;
  }

  /** Idle blocks that were given to someone else so far. */
  get evicted(): number {
    return this.#evicted;
  }

  openRoot(): BlockNode {
    return node(-1, null, 0);
  }

  /** Forgets a root: idle blocks are free at once, the others when they are released. */
  dropRoot(root: BlockNode): void {
    root.dropped = true;
    const pending = [...root.children];
    const order: BlockNode[] = [];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      order.push(next);
      pending.push(...next.children);
    }
    for (const each of order.reverse()) if (each.users === 0) this.#remove(each);
  }

  /** The longest stored prefix of ids[0, limit). Retains nothing. */
  match(root: BlockNode, ids: Int32Array, limit: number): BlockMatch {
    const full: BlockNode[] = [];
    let at = root;
    let depth = 0;
    while (depth < limit) {
      const { child, equal } = closestChild(at, ids, depth, limit);
      if (child === null) break;
      if (equal < this.blockTokens) return { full, partial: child, partialTokens: equal, tokens: depth + equal };
      full.push(child);
      at = child;
      depth += equal;
    }
    return { full, partial: null, partialTokens: 0, tokens: depth };
  }

  /** Marks a node as in use; its ancestors must be retained before it. */
  retain(each: BlockNode): void {
    if (each.users++ > 0) return;
    this.#idleCount--;
    this.#idle.remove(each);
  }

  /** A new, empty, retained node below `parent` (a root or a full node), or null when every block is in use. */
  append(parent: BlockNode): BlockNode | null {
    const block = this.#free.pop() ?? this.#evict();
    if (block === null) return null;
    const child = node(block, parent, this.blockTokens);
    child.users = 1;
    parent.children.push(child);
    return child;
  }

  /**
   * The node that stands for a node just filled: an equal sibling if there is one, retained in its place, since equal
   * tokens under equal ancestors hold equal keys and values.
   */
  settle(filled: BlockNode): BlockNode {
    if (filled.parent === null || filled.users !== 1 || filled.children.length > 0) return filled;
    for (const sibling of filled.parent.children) {
      if (sibling === filled || sibling.length < this.blockTokens) continue;
      if (commonPrefix(sibling.tokens, 0, filled.tokens, 0, this.blockTokens) < this.blockTokens) continue;
      this.retain(sibling);
      filled.users = 0;
      this.#idleCount++;
      this.#remove(filled);
      return sibling;
    }
    return filled;
  }

  /** Gives a path back, root first. Its blocks become idle. */
  release(path: readonly BlockNode[]): void {
    this.#releases++;
    for (let i = path.length - 1; i >= 0; i--) {
      const each = path[i] as BlockNode;
      if (--each.users > 0) continue;
      this.#idleCount++;
      each.idleSince = this.#releases;
      if (rootOf(each).dropped || each.length === 0 || isSubsumed(each)) this.#remove(each);
      else if (each.children.length === 0) this.#idle.addNewest(each);
    }
  }

  #evict(): number | null {
    const oldest = this.#idle.oldest;
    if (oldest === null) return null;
    this.#remove(oldest);
    this.#evicted++;
    return this.#free.pop() as number;
  }

  /** Frees an idle leaf, and lines its parent up when that became an idle leaf. */
  #remove(each: BlockNode): void {
    this.#idle.remove(each);
    this.#idleCount--;
    this.#free.push(each.block);
    const parent = each.parent as BlockNode;
    parent.children.splice(parent.children.indexOf(each), 1);
    const lone = parent.parent !== null && parent.users === 0 && parent.children.length === 0;
    if (lone && !rootOf(parent).dropped) this.#idle.addByAge(parent);
  }
}

function node(block: number, parent: BlockNode | null, capacity: number): BlockNode {
  const tokens = new Int32Array(capacity);
  return { block, parent, tokens, length: 0, children: [], users: 0, idleSince: 0, dropped: false };
}

function closestChild(
  at: BlockNode,
  ids: Int32Array,
  depth: number,
  limit: number,
): { child: BlockNode | null; equal: number } {
  let best: BlockNode | null = null;
  let most = 0;
  for (const child of at.children) {
    if (child.length <= most || child.tokens[0] !== ids[depth]) continue;
    const equal = commonPrefix(child.tokens, 0, ids, depth, Math.min(child.length, limit - depth));
    if (equal > most) {
      best = child;
      most = equal;
    }
  }
  return { child: best, equal: most };
}

/** True when a sibling starts with all that this leaf holds. */
function isSubsumed(each: BlockNode): boolean {
  if (each.children.length > 0 || each.parent === null) return false;
  return each.parent.children.some(
    (sibling) =>
      sibling !== each &&
      sibling.length >= each.length &&
      commonPrefix(sibling.tokens, 0, each.tokens, 0, each.length) === each.length,
  );
}

function rootOf(each: BlockNode): BlockNode {
  let at = each;
  while (at.parent !== null) at = at.parent;
  return at;
}
