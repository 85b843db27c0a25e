/** What requests wait at while a server is paused. */
export class Gate {
  #waiting: PromiseWithResolvers<void> | null = null;

  get closed(): boolean {
    return this.#waiting !== null;
  }

  close(): void {
    this.#waiting ??= Promise.withResolvers<void>();
  }

  open(): void {
    this.#waiting?.resolve();
    this.#waiting = null;
  }

  /** Resolves when it is open, or the signal fires. */
  async passed(signal: AbortSignal | undefined): Promise<void> {
    while (this.#waiting !== null && signal?.aborted !== true) {
      const { promise: opened } = this.#waiting;
      const left = Promise.withResolvers<void>();
      const leave = (): void => left.resolve();
      signal?.addEventListener('abort', leave, { once: true });
      await Promise.race([opened, left.promise]);
      signal?.removeEventListener('abort', leave);
    }
  }
}
