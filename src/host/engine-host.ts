/**
 * The engine in a child process of this one: a crash of native code is an event here, not the end of the run.
 *
 * Invariants:
 * 1. The child ends when this process does, however that ends.
 * 2. After a crash every open request has ended with `failed`, and calls throw until `restart`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { PolicyVersion } from '../core/ids.ts';
import type {
  EngineStatistics,
  GenerateEvent,
  GenerateRequest,
  LocalEngine,
  Snapshot,
  TrainRequest,
  TrainResult,
} from '../engine/engine.ts';
import type { HostedOptions } from './messages.ts';
import { connectEngine, type RemoteEngine } from './remote-engine.ts';

export interface EngineHostOptions extends HostedOptions {
  /** Another program that serves an engine on file descriptor 3. */
  readonly entry?: URL;
}

export interface EngineHost extends LocalEngine {
  /** False after a crash or `close`. */
  readonly alive: boolean;
  /** Of the child, for who watches its memory. */
  readonly processId: number | undefined;
  /** Starts a new child, from a checkpoint, in place of one that crashed or is stopped now. */
  restart(model: string, version: PolicyVersion, optimizer: 'fresh' | 'resume'): Promise<void>;
}

/** Starts a child and opens the engine in it. Throws the `checkpoint`, `config` or `engine` error of its opening. */
export async function createEngineHost(options: EngineHostOptions): Promise<EngineHost> {
  return new ChildEngineHost(options, await startChild(options));
}

interface Child {
  readonly process: ChildProcess;
  readonly engine: RemoteEngine;
}

class ChildEngineHost implements EngineHost {
  readonly #options: EngineHostOptions;
  #child: Child;

  constructor(options: EngineHostOptions, child: Child) {
    this.#options = options;
    this.#child = child;
  }

  get alive(): boolean {
    return isRunning(this.#child.process);
  }

  get processId(): number | undefined {
    return this.#child.process.pid;
  }

  get version(): PolicyVersion {
    return this.#child.engine.version;
  }

  get contextLength(): number {
    return this.#child.engine.contextLength;
  }

  get vocabSize(): number {
    return this.#child.engine.vocabSize;
  }

  async restart(model: string, version: PolicyVersion, optimizer: 'fresh' | 'resume'): Promise<void> {
    await stop(this.#child.process);
    this.#child = await startChild({ ...this.#options, model, version, optimizer });
  }

  generate(request: GenerateRequest): AsyncIterable<GenerateEvent> {
    return this.#child.engine.generate(request);
  }

  score(ids: Int32Array): Promise<Float32Array> {
    return this.#child.engine.score(ids);
  }

  train(request: TrainRequest): Promise<TrainResult> {
    return this.#child.engine.train(request);
  }

  publish(): Promise<PolicyVersion> {
    return this.#child.engine.publish();
  }

  save(directory: string, include?: 'weights' | 'weights and optimizer'): Promise<void> {
    return this.#child.engine.save(directory, include);
  }

  load(directory: string, version: PolicyVersion, optimizer: 'fresh' | 'resume'): Promise<void> {
    return this.#child.engine.load(directory, version, optimizer);
  }

  pause(): Promise<void> {
    return this.#child.engine.pause();
  }

  resume(): Promise<void> {
    return this.#child.engine.resume();
  }

  statistics(): Promise<EngineStatistics> {
    return this.#child.engine.statistics();
  }

  snapshot(): Promise<Snapshot> {
    return this.#child.engine.snapshot();
  }

  async close(): Promise<void> {
    const { process, engine } = this.#child;
    if (!isRunning(process)) return;
    const exited = once(process, 'exit');
    // A child that crashes on the way out is closed too.
    await engine.close().catch(() => undefined);
    const impatient = setTimeout(() => process.kill('SIGKILL'), 5000);
    await exited;
    clearTimeout(impatient);
  }
}

async function startChild({ entry, ...options }: EngineHostOptions): Promise<Child> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const program = entry ?? new URL(`./engine-child.${extension}`, import.meta.url);
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', fileURLToPath(program)], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  let lastError = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    lastError = `${lastError}${chunk}`.slice(-2000);
  });
  const exited = new Promise<string>((resolve) => {
    child.on('exit', (code, signal) => resolve(signal === null ? `with code ${code}` : `by ${signal}`));
    child.on('error', (thrown) => resolve(`before it started: ${thrown.message}`));
  });
  const whyClosed = async () => `the engine process ended ${await exited}${lastLine(lastError)}; restart it to go on`;
  try {
    const engine = await connectEngine(child.stdio[3] as Duplex, options, whyClosed);
    return { process: child, engine };
  } catch (thrown) {
    await stop(child);
    throw thrown;
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (!isRunning(child)) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

/** The line of a crash report that names the error, else the last one. */
function lastLine(text: string): string {
  const lines = text.trim().split('\n');
  const line = lines.findLast((each) => /error/i.test(each) && !each.startsWith('    at ')) ?? lines.at(-1) ?? '';
  return line === '' ? '' : ` (${line.trim()})`;
}
