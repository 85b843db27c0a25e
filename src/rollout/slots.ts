/** Bounded concurrency: at most `count` tasks run at once, and they start in the order in which they were given. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    if (!Number.isSafeInteger(count) || count < 1)
      throw new RangeError(`concurrency is a whole number from 1, not ${count}`);
    this.#free = count;
  }

  /** Settles as `work` does; the slot is given on whatever happened. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((start) => this.#waiting.push(start));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
