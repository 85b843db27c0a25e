/**
 * Ids of a conversation that grows at its end: a path that goes on where another one ends shares its memory, so that a
 * long session holds its tokens once and not once a turn.
 *
 * Invariant: what a path shows never changes; only memory behind its end is written, and once.
 */
interface Memory {
  ids: Int32Array<ArrayBuffer>;
  /** How much of it some path shows. */
  used: number;
}

export class GrowingIds {
  readonly ids: Int32Array;
  readonly #memory: Memory;

  private constructor(memory: Memory, length: number) {
    this.#memory = memory;
    this.ids = memory.ids.subarray(0, length);
  }

  static of(...parts: readonly Int32Array[]): GrowingIds {
    const length = lengthOf(parts);
    const memory: Memory = { ids: new Int32Array(length), used: 0 };
    write(memory, 0, parts);
    return new GrowingIds(memory, length);
  }

  /** The first `length` ids of this path, and then `parts`. */
  continued(length: number, ...parts: readonly Int32Array[]): GrowingIds {
    const total = length + lengthOf(parts);
    const shares = length === this.ids.length && this.#memory.used === length;
    if (!shares) return GrowingIds.of(this.ids.subarray(0, length), ...parts);
    if (this.#memory.ids.length < total) {
      // Room for as much again: a session's turns copy what came before them a few times in all.
      const ids = new Int32Array(total + (total >> 1));
      ids.set(this.ids);
      const memory: Memory = { ids, used: length };
      write(memory, length, parts);
      return new GrowingIds(memory, total);
    }
    write(this.#memory, length, parts);
    return new GrowingIds(this.#memory, total);
  }
}

const lengthOf = (parts: readonly Int32Array[]): number => parts.reduce((sum, part) => sum + part.length, 0);

function write(memory: Memory, from: number, parts: readonly Int32Array[]): void {
  let at = from;
  for (const part of parts) {
    memory.ids.set(part, at);
    at += part.length;
  }
  memory.used = at;
}
