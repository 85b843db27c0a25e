/**
 * A radix trie of token ids: every stored prefix once, edges are spans of an arena of tokens.
 *
 * It is not a record (the store is) and holds no payload: clients keep theirs beside it, keyed by span or position.
 *
 * Invariants:
 * 1. Children of a span differ in their first token and are kept in insertion order; so are the roots.
 * 2. A split puts a new span above; the old span keeps its number, its end and its children. So a position that a
 *    client holds stays valid: it is (span, depth), and a depth that now lies above the span belongs to an ancestor.
 * 3. Tokens are only appended; nothing is removed.
 */
import { commonPrefix } from './common-prefix.ts';
import { EdgeTable } from './edge-table.ts';

/** A place in the trie: `depth` tokens below the root, on the path that ends in `span`. The root is span -1, depth 0. */
export interface TriePosition {
  readonly span: number;
  readonly depth: number;
}

export const trieRoot: TriePosition = { span: -1, depth: 0 };

const none = -1;
const root = -1;

export class TokenTrie {
  #arena = new Int32Array(1024);
  #arenaLength = 0;
  #count = 0;
  #start = new Int32Array(16);
  #length = new Int32Array(16);
  /** Depth of the span's first token's parent: tokens above the span. */
  #above = new Int32Array(16);
  #parent = new Int32Array(16);
  #firstChild = new Int32Array(16);
  #lastChild = new Int32Array(16);
  #next = new Int32Array(16);
  #previous = new Int32Array(16);
  #firstRoot = none;
  #lastRoot = none;
  #edges = new EdgeTable();

  get spanCount(): number {
    return this.#count;
  }

  /** Unique tokens: N_tree. */
  get tokenCount(): number {
    return this.#arenaLength;
  }

  /** The deepest position whose path is a prefix of `ids`; its depth is the number of tokens that match. */
  match(ids: Int32Array): TriePosition {
    let span = root;
    let depth = 0;
    while (depth < ids.length) {
      const child = this.#edges.get(span, ids[depth] as number);
      if (child === none) break;
      const length = this.#length[child] as number;
      const limit = Math.min(length, ids.length - depth);
      const equal = commonPrefix(this.#arena, this.#start[child] as number, ids, depth, limit);
      span = child;
      depth += equal;
      if (equal < length) break;
    }
    return { span, depth };
  }

  /** Stores a path from the root and gives its end. */
  insert(ids: Int32Array): TriePosition {
    return this.fork(trieRoot, ids);
  }

  /** Stores a path that leaves `at`; shares what is there already. */
  fork(at: TriePosition, ids: Int32Array): TriePosition {
    let { span, depth } = this.#settle(at);
    let i = 0;
    while (i < ids.length) {
      const inside = span === root ? 0 : depth - (this.#above[span] as number);
      const length = span === root ? 0 : (this.#length[span] as number);
      if (inside < length) {
        const limit = Math.min(length - inside, ids.length - i);
        const equal = commonPrefix(this.#arena, (this.#start[span] as number) + inside, ids, i, limit);
        i += equal;
        depth += equal;
        if (equal === limit) continue;
        span = this.split({ span, depth });
      }
      const child = this.#edges.get(span, ids[i] as number);
      if (child === none) return this.#append(span, depth, ids.subarray(i));
      span = child;
    }
    return { span, depth };
  }

  /** Makes the position the end of a span and gives that span. At the root or at an end nothing changes. */
  split(at: TriePosition): number {
    const { span, depth } = this.#settle(at);
    if (span === root) return root;
    const headLength = depth - (this.#above[span] as number);
    if (headLength === this.#length[span]) return span;
    const start = this.#start[span] as number;
    const parent = this.#parent[span] as number;
    const head = this.#newSpan(start, headLength, this.#above[span] as number, parent);
    this.#replaceChild(parent, span, head);
    this.#start[span] = start + headLength;
    this.#length[span] = (this.#length[span] as number) - headLength;
    this.#above[span] = depth;
    this.#parent[span] = head;
    this.#firstChild[head] = span;
    this.#lastChild[head] = span;
    this.#edges.set(parent, this.#arena[start] as number, head);
    this.#edges.set(head, this.#arena[start + headLength] as number, span);
    return head;
  }

  /** The tokens from the root to the position: shape [depth]. */
  idsOf(at: TriePosition): Int32Array {
    const ids = new Int32Array(at.depth);
    for (let { span, depth } = this.#settle(at); span !== root; span = this.#parent[span] as number) {
      const above = this.#above[span] as number;
      const start = this.#start[span] as number;
      ids.set(this.#arena.subarray(start, start + depth - above), above);
      depth = above;
    }
    return ids;
  }

  /** The span that holds the position's last token, and the position's depth. */
  #settle(at: TriePosition): { span: number; depth: number } {
    let span = at.span;
    while (span !== root && (this.#above[span] as number) >= at.depth) span = this.#parent[span] as number;
    return { span, depth: at.depth };
  }

  /** Reads one span; `firstChild` and `next` are -1 at the end. */
  spanAt(span: number): SpanView {
    const start = this.#start[span] as number;
    return {
      tokens: this.#arena.subarray(start, start + (this.#length[span] as number)),
      above: this.#above[span] as number,
      parent: this.#parent[span] as number,
      firstChild: this.#firstChild[span] as number,
      next: this.#next[span] as number,
    };
  }

  get firstRoot(): number {
    return this.#firstRoot;
  }

  #append(parent: number, depth: number, ids: Int32Array): TriePosition {
    this.#reserve(ids.length);
    this.#arena.set(ids, this.#arenaLength);
    const span = this.#newSpan(this.#arenaLength, ids.length, depth, parent);
    this.#arenaLength += ids.length;
    const last = parent === root ? this.#lastRoot : (this.#lastChild[parent] as number);
    this.#previous[span] = last;
    if (last !== none) this.#next[last] = span;
    else if (parent === root) this.#firstRoot = span;
    else this.#firstChild[parent] = span;
    if (parent === root) this.#lastRoot = span;
    else this.#lastChild[parent] = span;
    this.#edges.set(parent, ids[0] as number, span);
    return { span, depth: depth + ids.length };
  }

  #newSpan(start: number, length: number, above: number, parent: number): number {
    if (this.#count === this.#start.length) this.#growSpans();
    const span = this.#count++;
    this.#start[span] = start;
    this.#length[span] = length;
    this.#above[span] = above;
    this.#parent[span] = parent;
    this.#firstChild[span] = none;
    this.#lastChild[span] = none;
    this.#next[span] = none;
    this.#previous[span] = none;
    return span;
  }

  #replaceChild(parent: number, old: number, now: number): void {
    const previous = this.#previous[old] as number;
    const next = this.#next[old] as number;
    this.#previous[now] = previous;
    this.#next[now] = next;
    this.#previous[old] = none;
    this.#next[old] = none;
    if (previous !== none) this.#next[previous] = now;
    else if (parent === root) this.#firstRoot = now;
    else this.#firstChild[parent] = now;
    if (next !== none) this.#previous[next] = now;
    else if (parent === root) this.#lastRoot = now;
    else this.#lastChild[parent] = now;
  }

  #reserve(extra: number): void {
    const needed = this.#arenaLength + extra;
    if (needed <= this.#arena.length) return;
    this.#arena = grown(this.#arena, Math.max(needed, this.#arena.length * 2));
  }

  #growSpans(): void {
    const size = this.#start.length * 2;
    this.#start = grown(this.#start, size);
    this.#length = grown(this.#length, size);
    this.#above = grown(this.#above, size);
    this.#parent = grown(this.#parent, size);
    this.#firstChild = grown(this.#firstChild, size);
    this.#lastChild = grown(this.#lastChild, size);
    this.#next = grown(this.#next, size);
    this.#previous = grown(this.#previous, size);
  }
}

/** One span as it lies in the trie; `tokens` is a view that the next insertion may leave behind. */
export interface SpanView {
  readonly tokens: Int32Array;
  readonly above: number;
  readonly parent: number;
  readonly firstChild: number;
  readonly next: number;
}

function grown(array: Int32Array, size: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(size);
  larger.set(array);
  return larger;
}
