/**
 * Things in the order in which they became idle: a linked list with removal from the middle.
 *
 * Invariant: from oldest to newest, `idleSince` never falls.
 */
export interface Aged {
  readonly idleSince: number;
}

interface Link<T> {
  readonly value: T;
  older: Link<T> | null;
  newer: Link<T> | null;
}

export class IdleList<T extends Aged> {
  #links = new Map<T, Link<T>>();
  #oldest: Link<T> | null = null;
  #newest: Link<T> | null = null;

  get oldest(): T | null {
    return this.#oldest?.value ?? null;
  }

  /** Adds what became idle last. */
  addNewest(value: T): void {
    this.#insertAfter(this.#newest, value);
  }

  /** Adds what became idle some time ago. */
  addByAge(value: T): void {
    let newer = this.#oldest;
    while (newer !== null && newer.value.idleSince < value.idleSince) newer = newer.newer;
    this.#insertAfter(newer === null ? this.#newest : newer.older, value);
  }

  /** No effect on what is not in the list. */
  remove(value: T): void {
    const link = this.#links.get(value);
    if (link === undefined) return;
    this.#links.delete(value);
    if (link.older === null) this.#oldest = link.newer;
    else link.older.newer = link.newer;
    if (link.newer === null) this.#newest = link.older;
    else link.newer.older = link.older;
  }

  #insertAfter(older: Link<T> | null, value: T): void {
    const newer = older === null ? this.#oldest : older.newer;
    const link: Link<T> = { value, older, newer };
    this.#links.set(value, link);
    if (older === null) this.#oldest = link;
    else older.newer = link;
    if (newer === null) this.#newest = link;
    else newer.older = link;
  }
}
