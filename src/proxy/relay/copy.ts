/** Copies of bytes that pass, within a limit for each and a budget for all: what does not fit is let go, never waited for. */

export class CopyBudget {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

export class Copy {
  readonly #budget: CopyBudget;
  readonly #limit: number;
  #chunks: Buffer[] | null = [];
  #size = 0;

  constructor(budget: CopyBudget, limit: number) {
    this.#budget = budget;
    this.#limit = limit;
  }

  add(chunk: Buffer): void {
    if (this.#chunks === null) return;
    if (this.#size + chunk.length > this.#limit || !this.#budget.take(chunk.length)) {
      this.release();
      return;
    }
    this.#chunks.push(chunk);
    this.#size += chunk.length;
  }

  /** Null when it did not fit, or was released. */
  get chunks(): readonly Buffer[] | null {
    return this.#chunks;
  }

  bytes(): Buffer | null {
    return this.#chunks === null ? null : Buffer.concat(this.#chunks);
  }

  release(): void {
    this.#budget.give(this.#size);
    this.#chunks = null;
    this.#size = 0;
  }
}
