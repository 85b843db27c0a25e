/**
 * Several engines that serve one model, as one.
 *
 * Invariants:
 * 1. Requests of one affinity go to one replica while it is alive and not far busier than the others: its prefix cache
 *    knows them. Nothing is remembered for it: the choice is a hash, so that it is the same after a restart, and a lost
 *    replica takes only its own requests elsewhere.
 * 2. A request of a lost replica ends with `paused`: who continues it from what it has is served by another one. A
 *    request that saw too many losses fails, as it may be what they come from.
 * 3. A lost replica is asked until it is back, and samples under the present version before it serves.
 */
import { EspalierError, messageOf } from '../core/errors.ts';
import type { PolicyVersion } from '../core/ids.ts';
import { seedOf } from '../core/random.ts';
import type { GenerateEvent, GenerateRequest } from './engine.ts';
import type { Drawing, Upstream } from './upstream.ts';

export interface ReplicasOptions {
  /** Between two attempts to get a lost replica back; a second when not given. */
  readonly retryMs?: number;
  /** What a request waits for some replica to be alive; two minutes when not given. */
  readonly patienceMs?: number;
  /** Told of every loss and return. */
  readonly tell?: (line: string) => void;
}

const maxLosses = 2;
/** Share of the mean load beyond which a replica's requests go to others. */
const overload = 1.25;
/** Tokens of a prompt that stand for its affinity when none is given. */
const prefixTokens = 64;

export class Replicas implements Upstream {
  readonly name: string;
  readonly contextLength: number;
  readonly vocabSize: number;
  readonly #replicas: readonly Upstream[];
  readonly #options: ReplicasOptions;
  readonly #running = new Map<Upstream, number>();
  readonly #recovering = new Set<Upstream>();
  /** Losses that a request has seen: one signal is one request, continued or not. */
  readonly #losses = new WeakMap<AbortSignal, number>();
  readonly #closing = new AbortController();
  #wake: (() => void)[] = [];

  /** Throws EspalierError('config') when there is none. */
  constructor(replicas: readonly Upstream[], options: ReplicasOptions = {}) {
    if (replicas.length === 0) throw new EspalierError('config', 'there is no engine: give at least one address');
    this.name = replicas.map(({ name }) => name).join(', ');
    this.contextLength = Math.min(...replicas.map(({ contextLength }) => contextLength));
    this.vocabSize = (replicas[0] as Upstream).vocabSize;
    this.#replicas = replicas;
    this.#options = options;
  }

  get version(): PolicyVersion {
    return (this.#replicas[0] as Upstream).version;
  }

  get alive(): boolean {
    return this.#replicas.some(({ alive }) => alive);
  }

  /** Replicas that are asked until they are back. */
  get lostCount(): number {
    return this.#recovering.size;
  }

  problemOf(drawing: Drawing): string | null {
    return this.#replicas.map((replica) => replica.problemOf(drawing)).find((problem) => problem !== null) ?? null;
  }

  async *generate(asked: GenerateRequest): AsyncGenerator<GenerateEvent, void, undefined> {
    // Contexts may differ: what one replica begins, any of them must be able to go on with.
    const room = this.contextLength - asked.ids.length;
    if (room < 1) return yield { type: 'end', reason: 'length' };
    const maxTokens = Math.min(asked.sampling.maxTokens, room);
    const request = { ...asked, sampling: { ...asked.sampling, maxTokens } };
    const replica = this.#choose(request) ?? (await this.#waitForOne(request));
    if (replica === null) {
      const message = request.signal?.aborted === true ? 'aborted by the caller' : `none of ${this.name} is back`;
      return yield { type: 'end', reason: 'failed', message };
    }
    this.#count(replica, 1);
    try {
      for await (const event of replica.generate(request)) {
        const lost = event.type === 'end' && event.reason === 'failed' && !replica.alive;
        if (lost) this.#lost(replica, event.message);
        yield lost && this.#mayGoOn(request) ? { type: 'end', reason: 'paused' } : event;
      }
    } finally {
      this.#count(replica, -1);
    }
  }

  async recover(): Promise<void> {
    await Promise.any(this.#replicas.map((replica) => replica.recover()));
  }

  async pause(): Promise<void> {
    await this.#each((replica) => replica.pause());
  }

  async resume(): Promise<void> {
    await this.#each((replica) => replica.resume());
  }

  async load(directory: string, version: PolicyVersion): Promise<void> {
    await this.#each((replica) => replica.load(directory, version));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#wakeAll();
    await Promise.all(this.#replicas.map((replica) => replica.close()));
  }

  /** Highest hash of replica and affinity wins, of those with room (rendezvous hashing with bounded loads). */
  #choose({ affinity, ids }: GenerateRequest): Upstream | null {
    const alive = this.#replicas.filter((replica) => replica.alive);
    if (alive.length === 0) return null;
    const key = affinity ?? ids.subarray(0, prefixTokens).join();
    const loads = alive.map((replica) => this.#running.get(replica) ?? 0);
    const most = overload * ((loads.reduce((sum, load) => sum + load, 0) + 1) / alive.length);
    const free = alive.filter((_, i) => (loads[i] as number) < most);
    const hashes = free.map(({ name }) => seedOf(key, name));
    return free[hashes.reduce((best, hash, i) => (hash > (hashes[best] as bigint) ? i : best), 0)] as Upstream;
  }

  async #waitForOne(request: GenerateRequest): Promise<Upstream | null> {
    for (const replica of this.#replicas) this.#lost(replica, 'it is not alive');
    const patience = AbortSignal.timeout(this.#options.patienceMs ?? 120_000);
    const given = AbortSignal.any([patience, this.#closing.signal, ...(request.signal ? [request.signal] : [])]);
    given.addEventListener('abort', () => this.#wakeAll(), { once: true });
    for (;;) {
      const replica = this.#choose(request);
      if (replica !== null || given.aborted) return replica;
      await new Promise<void>((wake) => this.#wake.push(wake));
    }
  }

  #mayGoOn({ signal }: GenerateRequest): boolean {
    if (signal === undefined) return false;
    const seen = (this.#losses.get(signal) ?? 0) + 1;
    this.#losses.set(signal, seen);
    return seen <= maxLosses;
  }

  #lost(replica: Upstream, why: string): void {
    if (this.#recovering.has(replica) || this.#closing.signal.aborted) return;
    this.#recovering.add(replica);
    this.#options.tell?.(`lost ${replica.name}: ${why}`);
    void this.#recover(replica);
  }

  async #recover(replica: Upstream): Promise<void> {
    while (!replica.alive && !this.#closing.signal.aborted) {
      await replica.recover().catch(() => new Promise((again) => setTimeout(again, this.#options.retryMs ?? 1000)));
    }
    this.#recovering.delete(replica);
    if (replica.alive) this.#options.tell?.(`${replica.name} is back`);
    this.#wakeAll();
  }

  /** What fails at one loses that one; what fails at all, or is not the server's fault, is thrown. */
  async #each(work: (replica: Upstream) => Promise<void>): Promise<void> {
    const failures: unknown[] = [];
    for (const outcome of await Promise.allSettled(this.#replicas.map(work))) {
      if (outcome.status === 'rejected') failures.push(outcome.reason);
    }
    for (const replica of this.#replicas) if (!replica.alive) this.#lost(replica, messageOf(failures[0] ?? 'lost'));
    const [hard] = failures.filter((failure) => !(failure instanceof EspalierError && failure.boundary === 'engine'));
    if (hard !== undefined || failures.length === this.#replicas.length) throw hard ?? failures[0];
  }

  #count(replica: Upstream, change: number): void {
    this.#running.set(replica, (this.#running.get(replica) ?? 0) + change);
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
