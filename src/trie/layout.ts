/**
 * The trie in depth-first (pre-order) layout: what training runs on.
 *
 * Invariants:
 * 1. Nodes are tokens, numbered in pre-order; children follow in insertion order; every subtree is one contiguous range.
 * 2. Spans are maximal: a span that does not branch is joined with its only child, so the layout does not depend on
 *    whether a trajectory that is another's prefix came first.
 * 3. A first token that differs makes another root: the layout is a forest.
 */
import { TokenTrie, type TriePosition } from './token-trie.ts';

/** Span s holds tokens [spanStart[s], spanStart[s+1]); its parent is spanParent[s] < s, or -1. */
export interface TrieLayout {
  /** [nodes] */
  readonly tokens: Int32Array;
  /** [spans + 1] */
  readonly spanStart: Int32Array;
  /** [spans] */
  readonly spanParent: Int32Array;
}

/** A layout and, for each trajectory, where its tokens lie: nodes[i][t] is the node of token t of trajectory i. */
export interface TrajectoryTrie extends TrieLayout {
  readonly nodes: readonly Int32Array[];
}

/** Shares every common prefix of the trajectories. An empty trajectory has no nodes. */
export function layoutTrajectories(trajectories: readonly Int32Array[]): TrajectoryTrie {
  const trie = new TokenTrie();
  const ends = trajectories.map((ids) => trie.insert(ids));
  const { firstNode, ...layout } = preOrder(trie);
  return { ...layout, nodes: ends.map((end) => nodesOf(trie, firstNode, end)) };
}

/** Pre-order of a trie. `firstNode[span]` is the node of the first token of the trie's span. */
export function preOrder(trie: TokenTrie): TrieLayout & { readonly firstNode: Int32Array } {
  const tokens = new Int32Array(trie.tokenCount);
  const firstNode = new Int32Array(trie.spanCount);
  const spanOf = new Int32Array(trie.spanCount);
  const starts: number[] = [];
  const parents: number[] = [];
  let node = 0;
  const pending: number[] = [];
  for (const span of siblings(trie, trie.firstRoot).reverse()) pending.push(span);
  for (let span = pending.pop(); span !== undefined; span = pending.pop()) {
    const view = trie.spanAt(span);
    if (view.parent >= 0 && isOnlyChild(trie, view.parent)) {
      spanOf[span] = spanOf[view.parent] as number;
    } else {
      spanOf[span] = starts.length;
      starts.push(node);
      parents.push(view.parent < 0 ? -1 : (spanOf[view.parent] as number));
    }
    firstNode[span] = node;
    tokens.set(view.tokens, node);
    node += view.tokens.length;
    for (const child of siblings(trie, view.firstChild).reverse()) pending.push(child);
  }
  starts.push(node);
  return { tokens, spanStart: Int32Array.from(starts), spanParent: Int32Array.from(parents), firstNode };
}

function nodesOf(trie: TokenTrie, firstNode: Int32Array, end: TriePosition): Int32Array {
  const nodes = new Int32Array(end.depth);
  let below = end.depth;
  for (let span = end.span; span >= 0; ) {
    const { above, parent } = trie.spanAt(span);
    const first = firstNode[span] as number;
    for (let depth = above; depth < below; depth++) nodes[depth] = first + depth - above;
    below = Math.min(below, above);
    span = parent;
  }
  return nodes;
}

function siblings(trie: TokenTrie, first: number): number[] {
  const spans: number[] = [];
  for (let span = first; span >= 0; span = trie.spanAt(span).next) spans.push(span);
  return spans;
}

function isOnlyChild(trie: TokenTrie, parent: number): boolean {
  return trie.spanAt(trie.spanAt(parent).firstChild).next < 0;
}
