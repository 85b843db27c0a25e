/**
 * A few threads that run suites, one suite a thread at a time, in the order of the calls.
 *
 * Invariants
 * 1. Every call settles: with a run, or with EspalierError('sandbox') when the thread failed, was cancelled or closed.
 * 2. A thread that spends more processor time on a suite than fuel can explain is terminated and replaced; its suite ends
 *    as one that ran out of fuel. Processor time, so that a busy machine does not decide over a verdict.
 */
import { Worker } from 'node:worker_threads';
import { EspalierError, messageOf } from '../../core/errors.ts';
import type { SuiteRun } from '../sandbox.ts';
import type { SuiteJob } from './wasm-suite.ts';

interface Pending {
  readonly job: SuiteJob;
  readonly cpuMs: number;
  readonly resolve: (run: SuiteRun) => void;
  readonly reject: (error: EspalierError) => void;
}

interface Thread {
  readonly worker: Worker;
  busy: Pending | null;
  timer: NodeJS.Timeout | null;
}

/** `begun` starts the clock: a thread that is still starting up costs the suite nothing. */
type Answer = { readonly begun: true } | { readonly run: SuiteRun } | { readonly error: string };

const workerUrl = new URL(import.meta.url.endsWith('.ts') ? './wasm-worker.ts' : './wasm-worker.js', import.meta.url);

/** How often a running suite's processor time is looked at. Most suites end before the first look. */
const lookMs = 250;
/** Where a thread's processor time cannot be asked for, or it does not answer, this many times the bound of real time counts. */
const patience = 20;

export class SuitePool {
  readonly #size: number;
  readonly #threads: Thread[] = [];
  readonly #queue: Pending[] = [];
  #closed = false;

  constructor(size: number) {
    this.#size = size;
  }

  run(job: SuiteJob, cpuMs: number, signal?: AbortSignal): Promise<SuiteRun> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new EspalierError('sandbox', 'the sandbox is closed'));
      const cancelled = (): EspalierError => new EspalierError('sandbox', 'the run of the tests was cancelled');
      if (signal?.aborted === true) return reject(cancelled());
      const onAbort = (): void => {
        const at = this.#queue.indexOf(pending);
        if (at >= 0) this.#queue.splice(at, 1);
        reject(cancelled());
      };
      const release = (): void => signal?.removeEventListener('abort', onAbort);
      const pending: Pending = {
        job,
        cpuMs,
        resolve: (run) => {
          release();
          resolve(run);
        },
        reject: (error) => {
          release();
          reject(error);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#queue.push(pending);
      this.#dispatch();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const waiting = this.#queue.splice(0);
    for (const thread of this.#threads) if (thread.busy !== null) waiting.push(thread.busy);
    for (const pending of waiting) pending.reject(new EspalierError('sandbox', 'the sandbox was closed'));
    await Promise.all(this.#threads.splice(0).map((thread) => this.#stop(thread)));
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const thread = this.#threads.find((one) => one.busy === null) ?? this.#grow();
      const next = thread === null ? undefined : this.#queue.shift();
      if (thread === null || next === undefined) return;
      thread.busy = next;
      thread.worker.ref();
      thread.worker.postMessage(next.job);
    }
  }

  #grow(): Thread | null {
    if (this.#threads.length >= this.#size) return null;
    // The guest's recursion is bounded by QuickJS; the thread's stack must not end before that bound.
    const worker = new Worker(workerUrl, { execArgv: [], resourceLimits: { stackSizeMb: 64 } });
    const thread: Thread = { worker, busy: null, timer: null };
    worker.on('message', (answer: Answer) => {
      if ('begun' in answer) return this.#startClock(thread);
      const pending = this.#free(thread);
      if ('run' in answer) pending?.resolve(answer.run);
      else pending?.reject(new EspalierError('sandbox', `a suite could not be run: ${answer.error}`));
      this.#dispatch();
    });
    const fail = (why: string): void =>
      this.#lose(thread, new EspalierError('sandbox', `a sandbox thread ended: ${why}`));
    worker.on('error', (error) => fail(messageOf(error)));
    worker.on('exit', (code) => fail(`exit code ${code}`));
    worker.unref();
    this.#threads.push(thread);
    return thread;
  }

  #free(thread: Thread): Pending | null {
    const pending = thread.busy;
    if (thread.timer !== null) clearTimeout(thread.timer);
    thread.busy = null;
    thread.timer = null;
    thread.worker.unref();
    return pending;
  }

  #startClock(thread: Thread): void {
    const pending = thread.busy;
    if (pending === null) return;
    const begun = performance.now();
    let base: number | null = null;
    let spentMs = 0;
    const look = (): void => {
      if (thread.busy !== pending) return;
      if (spentMs > pending.cpuMs || performance.now() - begun > patience * pending.cpuMs) {
        this.#expire(thread);
        return;
      }
      cpuMsOf(thread.worker).then(
        (total) => {
          if (total === null) return;
          base ??= total;
          spentMs = total - base;
        },
        () => {},
      );
      thread.timer = setTimeout(look, lookMs);
    };
    thread.timer = setTimeout(look, lookMs);
  }

  #expire(thread: Thread): void {
    this.#free(thread)?.resolve({ completed: false, tests: [], message: 'ran out of fuel' });
    this.#lose(thread, null);
  }

  /** Drops a thread; a suite that it was running fails with `error`. */
  #lose(thread: Thread, error: EspalierError | null): void {
    const at = this.#threads.indexOf(thread);
    if (at < 0) return;
    this.#threads.splice(at, 1);
    const pending = this.#free(thread);
    if (error !== null) pending?.reject(error);
    void this.#stop(thread);
    if (!this.#closed) this.#dispatch();
  }

  async #stop(thread: Thread): Promise<void> {
    if (thread.timer !== null) clearTimeout(thread.timer);
    await thread.worker.terminate();
  }
}

/** Processor time of a thread so far; null where Node cannot tell (before 22.20 and 24.6). */
async function cpuMsOf(worker: Worker): Promise<number | null> {
  if (typeof worker.cpuUsage !== 'function') return null;
  const { user, system } = await worker.cpuUsage();
  return (user + system) / 1000;
}
