/**
 * The `wasm` sandbox: JavaScript suites in QuickJS in WebAssembly, on threads. Runs on any machine that runs Node.
 *
 * Covered: no network, no file system, no clock, no entropy; time and memory bounded, deterministically; results held
 * by the host; primordials frozen before code under test is loaded.
 * Not covered: side channels between suites of one thread; programs that need Node's own modules.
 */
import { EspalierError } from '../../core/errors.ts';
import type { FileTree } from '../../core/task.ts';
import type { Sandbox, SandboxLimits, SandboxProvider, SuiteRun } from '../sandbox.ts';
import { Tree } from '../tree.ts';
import { SuitePool } from './wasm-pool.ts';

export interface WasmOptions {
  /** Suites that run at once. */
  readonly threads: number;
}

/** Enough for suites of small repositories; an endless loop costs 5 to 60 ms. Memory below 10 MiB is taken as 10 MiB. */
export const wasmLimits: SandboxLimits = { timeMs: 20, memoryBytes: 32 * 1024 * 1024 };

/** Time is counted in QuickJS's interrupts, one per 10,000 calls or jumps backward: half a millisecond each, nominally. */
const interruptsPerMs = 2;

/** Processor time at which a thread is given up. Only programs that spend their time inside single built-in calls live that long. */
const cpuMs = (timeMs: number): number => 2000 + 20 * timeMs;

export function wasmSandboxes(options: WasmOptions = { threads: 2 }): SandboxProvider {
  const pool = new SuitePool(options.threads);
  return {
    async start(files, limits) {
      return new WasmSandbox(pool, files, limits);
    },
    close: () => pool.close(),
  };
}

class WasmSandbox implements Sandbox {
  readonly #pool: SuitePool;
  readonly #tree: Tree;
  readonly #limits: SandboxLimits;
  #closed = false;

  constructor(pool: SuitePool, files: FileTree, limits: SandboxLimits) {
    this.#pool = pool;
    this.#tree = new Tree(files);
    this.#limits = limits;
  }

  list(): readonly string[] {
    return this.#tree.list();
  }

  read(path: string): string | null {
    return this.#tree.read(path);
  }

  write(path: string, text: string): void {
    this.#tree.write(path, text);
  }

  diff(): Readonly<Record<string, string | null>> {
    return this.#tree.diff();
  }

  async runTests(paths: readonly string[], signal?: AbortSignal): Promise<SuiteRun> {
    if (this.#closed) throw new EspalierError('sandbox', 'the sandbox is closed');
    const { timeMs, memoryBytes } = this.#limits;
    const job = {
      files: this.#tree.snapshot(),
      tests: [...paths],
      fuel: Math.ceil(timeMs * interruptsPerMs),
      memoryBytes,
    };
    return this.#pool.run(job, cpuMs(timeMs), signal);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }
}
