/**
 * One QuickJS instance in WebAssembly that runs test files, each in a realm that nothing has touched before.
 *
 * The realm is built once (guest code, then lockdown) and the linear memory is copied; before each file the copy is put
 * back, which is a fresh runtime for the price of a small memcpy, and the same one, bit for bit.
 *
 * Invariants
 * 1. The same files give the same results, ends and messages: fuel counts QuickJS interrupts, not time.
 * 2. No handle made after the copy survives a restore.
 * 3. The linear memory has its full size from the start, so the bound is met at the same allocation always.
 * 4. A machine that trapped is spent: its owner makes a new one.
 *
 * Covered: endless loops and recursion, runaway memory and regular expressions, `process.exit`.
 * Not covered: built-in functions that never poll for interrupts (`includes` over 2^53 items); the pool's clock is for them.
 */
import variant from '@jitl/quickjs-singlefile-mjs-release-sync';
import {
  newQuickJSWASMModuleFromVariant,
  type QuickJSContext,
  type QuickJSHandle,
  type QuickJSRuntime,
} from 'quickjs-emscripten-core';
import type { FileTree } from '../../core/task.ts';
import { guestProgram, internalModules } from './wasm-guest.ts';
import { isModule, resolveImport } from './wasm-imports.ts';

/** Of the 16 MiB with which the linear memory begins, what stack and realm leave. */
const smallestHeapBytes = 10 * 1024 * 1024;
/** QuickJS polls for interrupts every 10,000 calls and jumps backward. */
const stackBytes = 256 * 1024;

/** Promise jobs that cost one unit of fuel: a chain of jobs hardly polls, and a job costs more than a poll. */
const jobsPerFuel = 500;

/** What ended a run before its time, in the words that the model reads. */
export type Halt = 'ran out of fuel' | 'ran out of memory' | 'called process.exit' | 'broke the sandbox';

export interface RanTest {
  readonly title: string;
  /** Empty when it passed. */
  readonly failure: string;
}

export interface FileRun {
  readonly tests: readonly RanTest[];
  /** The file could not be loaded: why; else ''. */
  readonly loadError: string;
  readonly halt: Halt | null;
}

/** Interrupts that a suite may spend over all its files; the machine counts it down. */
export interface Fuel {
  left: number;
}

/** What is used of WebAssembly.Memory. */
interface LinearMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

type Call = (name: string, ...args: readonly (string | number)[]) => string | number | boolean | undefined;

export class Machine {
  readonly #context: QuickJSContext;
  readonly #runtime: QuickJSRuntime;
  readonly #memory: LinearMemory;
  readonly #table: Readonly<Record<string, QuickJSHandle>>;
  readonly #image: { readonly at: number; readonly bytes: Uint8Array }[] = [];
  #files: FileTree = {};
  #tests: readonly string[] = [];
  #fuel: Fuel = { left: 0 };
  #halt: Halt | null = null;
  /** The host's own calls into the guest after a halt must not be interrupted. */
  #metered = false;
  /** What a program may allocate. */
  readonly memoryBytes: number;
  #spent = false;

  /** `memoryBytes` below about 10 MiB is taken as that: it is what the smallest linear memory leaves. */
  static async open(memoryBytes: number): Promise<Machine> {
    return new Machine(await newQuickJSWASMModuleFromVariant(variant), memoryBytes);
  }

  private constructor(module: Awaited<ReturnType<typeof newQuickJSWASMModuleFromVariant>>, memoryBytes: number) {
    this.memoryBytes = memoryBytes;
    this.#memory = module.getWasmMemory();
    this.#runtime = module.newRuntime({ maxStackSizeBytes: stackBytes });
    this.#runtime.setInterruptHandler(() => {
      if (this.#metered) this.#burn();
      return this.#metered && this.#halt !== null;
    });
    this.#runtime.setModuleLoader(
      (name) => this.#files[name] ?? { error: new Error(`Cannot find module '${name}'`) },
      (base, request) => {
        const name = resolveImport(base, request, this.#files, this.#tests);
        return name ?? { error: new Error(`Cannot find module '${request}'`) };
      },
    );
    this.#context = this.#runtime.newContext();
    this.#table = this.#boot();
    this.#fixMemory(memoryBytes);
    this.#copyImage();
  }

  /** True when it must not be used again. */
  get spent(): boolean {
    return this.#spent;
  }

  /** Runs one test file of a tree. */
  runFile(files: FileTree, tests: readonly string[], path: string, fuel: Fuel): FileRun {
    if (this.#spent) throw new Error('a spent machine cannot run');
    for (const part of this.#image) new Uint8Array(this.#memory.buffer).set(part.bytes, part.at);
    this.#files = files;
    this.#tests = tests;
    this.#fuel = fuel;
    this.#halt = null;
    const ran: RanTest[] = [];
    let loadError = '';
    try {
      loadError = this.#load(path);
      if (loadError === '' && this.#halt === null) this.#runTests(ran);
    } catch {
      // A trap, for example when the engine's own stack ends: the memory may hold anything.
      this.#halt ??= 'broke the sandbox';
      this.#spent = true;
    }
    this.#metered = false;
    return { tests: ran, loadError, halt: this.#halt };
  }

  #load(path: string): string {
    this.#metered = false;
    this.#call('mount', JSON.stringify(this.#files), JSON.stringify(this.#tests));
    this.#metered = true;
    const error = isModule(path, this.#files) ? this.#loadModule(path) : this.#call('load', path);
    if (typeof error === 'string' && error !== '') return error;
    this.#drain();
    if (this.#halt !== null) return '';
    this.#call('seal');
    return '';
  }

  #loadModule(path: string): string {
    const result = this.#context.evalCode(this.#files[path] ?? '', path, { type: 'module' });
    if (result.error !== undefined) return this.#describe(result.error);
    this.#settle(() => this.#context.getPromiseState(result.value).type !== 'pending');
    const state = this.#context.getPromiseState(result.value);
    if (state.type === 'rejected') return this.#describe(state.error);
    return state.type === 'pending' && this.#halt === null ? 'its top-level await never settles' : '';
  }

  #runTests(ran: RanTest[]): void {
    const count = Number(this.#call('count'));
    for (let index = 0; index < count && this.#halt === null; index++) {
      const title = String(this.#unmetered('title', index));
      this.#call('start', index);
      this.#settle(() => this.#unmetered('settled') === true);
      ran.push({ title, failure: this.#halt ?? String(this.#unmetered('failure')) });
    }
  }

  /** Runs jobs, and timers until `done`, or until nothing is left to run. */
  #settle(done: () => boolean): void {
    this.#drain();
    while (this.#halt === null && !done() && this.#call('fire') === true) this.#drain();
  }

  /** Runs the promise jobs until there is none, as Node does between any two turns of its loop. */
  #drain(): void {
    while (this.#halt === null && this.#runtime.hasPendingJob()) {
      const jobs = this.#runtime.executePendingJobs(jobsPerFuel);
      if (jobs.error === undefined && jobs.value === jobsPerFuel) this.#burn();
    }
  }

  #describe(thrown: QuickJSHandle): string {
    if (this.#halt !== null) return '';
    const result = this.#context.callFunction(this.#function('describe'), this.#context.undefined, thrown);
    return result.error === undefined ? this.#context.getString(result.value) : 'unknown error';
  }

  #burn(): void {
    if (--this.#fuel.left < 0) this.#halt ??= 'ran out of fuel';
  }

  #function(name: string): QuickJSHandle {
    const handle = this.#table[name];
    if (handle === undefined) throw new Error(`the guest has no ${name}`);
    return handle;
  }

  /** A call of the guest's table. Its own functions never throw: a throw means a halt, or a guest that is out of stack. */
  readonly #call: Call = (name, ...args) => {
    const context = this.#context;
    const handles = args.map((arg) => (typeof arg === 'string' ? context.newString(arg) : context.newNumber(arg)));
    const result = context.callFunction(this.#function(name), context.undefined, handles);
    if (result.error === undefined) return context.dump(result.value);
    this.#halt ??= 'broke the sandbox';
    return undefined;
  };

  #unmetered(name: string, ...args: readonly (string | number)[]): ReturnType<Call> {
    this.#metered = false;
    const result = this.#call(name, ...args);
    this.#metered = true;
    return result;
  }

  /**
   * QuickJS's own limit counts eight bytes a block in WebAssembly, so the linear memory is bounded instead: it is grown
   * by one allocation that is freed again, and never after. A refusal ends the run.
   */
  #fixMemory(memoryBytes: number): void {
    const room = `new ArrayBuffer(${Math.max(smallestHeapBytes, memoryBytes)}), 0`;
    this.#context.unwrapResult(this.#context.evalCode(room, 'guest')).dispose();
    this.#memory.grow = () => {
      this.#halt ??= 'ran out of memory';
      throw new RangeError('memory bound');
    };
  }

  #boot(): Readonly<Record<string, QuickJSHandle>> {
    const context = this.#context;
    const compile = context.newFunction('compile', (pathHandle) => {
      const path = context.getString(pathHandle);
      const text = this.#files[path] ?? '';
      return context.evalCode(`(function (exports, require, module, __filename, __dirname) {${text}\n})`, path);
    });
    const halt = context.newFunction('halt', () => {
      this.#halt ??= 'called process.exit';
      return context.undefined;
    });
    const host = context.newObject();
    context.setProp(host, 'compile', compile);
    context.setProp(host, 'halt', halt);
    const program = context.unwrapResult(context.evalCode(guestProgram(), 'guest'));
    const table = context.unwrapResult(context.callFunction(program, context.undefined, host));
    for (const { name, text } of internalModules)
      context.unwrapResult(context.evalCode(text, name, { type: 'module' }));
    context.unwrapResult(context.callMethod(table, 'lock'));
    const names = ['mount', 'load', 'describe', 'seal', 'count', 'title', 'start', 'fire', 'settled', 'failure'];
    return Object.fromEntries(names.map((name) => [name, context.getProp(table, name)]));
  }

  /** Keeps the pages that hold anything; the rest is zero now and unused memory later. */
  #copyImage(): void {
    const words = new Int32Array(this.#memory.buffer);
    const step = 1024;
    const isEmpty = (at: number): boolean => {
      for (let i = at; i < at + step; i++) if (words[i] !== 0) return false;
      return true;
    };
    for (let at = 0; at < words.length; at += step) {
      if (isEmpty(at)) continue;
      const start = at;
      while (at < words.length && !isEmpty(at)) at += step;
      this.#image.push({ at: start * 4, bytes: new Uint8Array(this.#memory.buffer.slice(start * 4, at * 4)) });
    }
  }
}
