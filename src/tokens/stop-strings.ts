/**
 * Strings at which a completion ends, wherever they fall on token boundaries.
 *
 * Invariants:
 * 1. The one that is complete first wins; of two that end together, the longer.
 * 2. Pieces from push(), joined, are a beginning of cutAtStop(whole text).text, and all of it once `found` is set.
 */

export interface CutText {
  /** What stands before the stop string, or all of it. */
  readonly text: string;
  readonly stop: string | null;
}

/** `stops` must not contain the empty string. */
export function cutAtStop(text: string, stops: readonly string[]): CutText {
  let end = Number.POSITIVE_INFINITY;
  let stop: string | null = null;
  for (const candidate of stops) {
    const at = text.indexOf(candidate);
    if (at < 0) continue;
    const candidateEnd = at + candidate.length;
    if (candidateEnd < end || (candidateEnd === end && candidate.length > (stop?.length ?? 0))) {
      end = candidateEnd;
      stop = candidate;
    }
  }
  return stop === null ? { text, stop } : { text: text.slice(0, end - stop.length), stop };
}

/** Text that grows, held back wherever a stop string may be beginning. */
export class StopStream {
  readonly #stops: readonly string[];
  #held = '';
  #found: string | null = null;

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** The stop string that was reached; nothing comes after it. */
  get found(): string | null {
    return this.#found;
  }

  /** Gives the text that is certain to be said, often ''. */
  push(text: string): string {
    if (this.#found !== null) return '';
    this.#held += text;
    const cut = cutAtStop(this.#held, this.#stops);
    this.#found = cut.stop;
    const end = cut.stop === null ? this.#certainEnd() : cut.text.length;
    const certain = this.#held.slice(0, end);
    this.#held = this.#held.slice(end);
    return certain;
  }

  /** Before the longest end of the text that a stop string begins with. */
  #certainEnd(): number {
    const longest = Math.max(0, ...this.#stops.map((stop) => stop.length - 1));
    for (let from = Math.max(0, this.#held.length - longest); from < this.#held.length; from++) {
      const tail = this.#held.slice(from);
      if (this.#stops.some((stop) => stop.startsWith(tail))) return from;
    }
    return this.#held.length;
  }
}
