/**
 * A hash table from (span, first token of a child) to the child: open addressing in three typed arrays.
 *
 * Invariants:
 * 1. A key is stored at most once; there is no removal, since a trie's edges only change where they lead.
 * 2. At most half of the slots are used, so a probe ends.
 */
const empty = -1;

export class EdgeTable {
  #spans = new Int32Array(64);
  #tokens = new Int32Array(64);
  #children = new Int32Array(64).fill(empty);
  #used = 0;

  /** The child, or -1. */
  get(span: number, token: number): number {
    return this.#children[this.#slot(span, token)] as number;
  }

  set(span: number, token: number, child: number): void {
    const slot = this.#slot(span, token);
    if (this.#children[slot] === empty) this.#used++;
    this.#spans[slot] = span;
    this.#tokens[slot] = token;
    this.#children[slot] = child;
    if (this.#used * 2 > this.#children.length) this.#grow();
  }

  #slot(span: number, token: number): number {
    const mask = this.#children.length - 1;
    let hash = Math.imul(span, 0x9e3779b1) ^ Math.imul(token, 0x85ebca6b);
    hash ^= hash >>> 15;
    let slot = hash & mask;
    while (this.#children[slot] !== empty && !(this.#spans[slot] === span && this.#tokens[slot] === token)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #grow(): void {
    const [spans, tokens, children] = [this.#spans, this.#tokens, this.#children];
    const size = children.length * 2;
    this.#spans = new Int32Array(size);
    this.#tokens = new Int32Array(size);
    this.#children = new Int32Array(size).fill(empty);
    this.#used = 0;
    for (let i = 0; i < children.length; i++) {
      const child = children[i] as number;
      if (child !== empty) this.set(spans[i] as number, tokens[i] as number, child);
    }
  }
}
