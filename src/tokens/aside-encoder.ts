/**
 * A tokenizer in a thread of its own, for text that would keep the event loop from others: 128 K tokens take a third of a
 * second. It is started when it is first needed and ends with the process.
 *
 * Invariant: it gives what the tokenizer here gives, as it is the same code and the same files.
 */
import { Worker } from 'node:worker_threads';
import type { TokenizerConfigJson, TokenizerJson } from './tokenizer.ts';

/** What the thread is made of. */
export interface TokenizerFiles {
  readonly json: TokenizerJson;
  readonly config: TokenizerConfigJson;
}

export interface EncodeAnswer {
  readonly call: number;
  readonly ids: Int32Array<ArrayBuffer>;
}

interface Pending {
  resolve(ids: Int32Array): void;
  reject(failure: unknown): void;
}

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const program = new URL(`./encode-worker.${extension}`, import.meta.url);

export class AsideEncoder {
  readonly #files: TokenizerFiles;
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | null = null;
  #calls = 0;

  constructor(files: TokenizerFiles) {
    this.#files = files;
  }

  /** Rejects when the thread ended; the next call starts another one. */
  encode(text: string): Promise<Int32Array> {
    const call = this.#calls++;
    return new Promise((resolve, reject) => {
      this.#pending.set(call, { resolve, reject });
      this.#worker ??= this.#start();
      // While somebody waits it keeps the process alive.
      this.#worker.ref();
      this.#worker.postMessage({ call, text });
    });
  }

  #start(): Worker {
    const worker = new Worker(program, { execArgv: [], workerData: this.#files });
    worker.on('message', ({ call, ids }: EncodeAnswer) => {
      this.#pending.get(call)?.resolve(ids);
      this.#pending.delete(call);
      if (this.#pending.size === 0) worker.unref();
    });
    const ended = (failure: unknown): void => {
      if (this.#worker === worker) this.#worker = null;
      for (const { reject } of this.#pending.values()) reject(failure);
      this.#pending.clear();
    };
    worker.on('error', ended);
    worker.on('exit', () => ended(new Error('the tokenizer thread ended')));
    return worker;
  }
}
