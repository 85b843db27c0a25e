/**
 * The requests that a server works on, and whether it is still there while none of them hears from it.
 *
 * Invariant: silence is no fault by itself, since a long queue is silent too; a server is given up when it also fails
 * health checks, several in a row.
 */
export interface SilenceOptions {
  /** Without a byte for so long, the server is asked for its health. */
  readonly quietMs: number;
  isHealthy(): Promise<boolean>;
  /** Called with what happened when the server is given up. */
  giveUp(why: string): void;
}

const maxMisses = 3;

export class OpenRequests {
  readonly #options: SilenceOptions;
  /** Aborted to end a request, with the reason. */
  readonly #open = new Set<AbortController>();
  #watch: NodeJS.Timeout | undefined;
  #heardAt = 0;
  #misses = 0;
  #asking = false;

  constructor(options: SilenceOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#open.size;
  }

  add(request: AbortController): void {
    this.#open.add(request);
    this.heard();
    this.#watch ??= setInterval(() => void this.#look(), this.#options.quietMs);
  }

  remove(request: AbortController): void {
    this.#open.delete(request);
    if (this.#open.size > 0) return;
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  /** The server sent something. */
  heard(): void {
    this.#heardAt = Date.now();
    this.#misses = 0;
  }

  endAll(reason: unknown): void {
    for (const request of this.#open) request.abort(reason);
  }

  async #look(): Promise<void> {
    const { quietMs, isHealthy, giveUp } = this.#options;
    if (this.#asking || Date.now() - this.#heardAt < quietMs) return;
    this.#asking = true;
    this.#misses = (await isHealthy()) ? 0 : this.#misses + 1;
    this.#asking = false;
    if (this.#misses >= maxMisses) giveUp(`silent for ${quietMs} ms, and it fails its health check`);
  }
}
