/**
 * A PyTorch process that takes the same steps: bench/torch/eager.py behind typed calls, one JSON line each way.
 *
 * Invariants: one call at a time; a process that ends in between rejects the call with the last line it wrote.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { EspalierError } from '../core/errors.ts';
import type { ModelShape } from '../native/native.ts';
import type { MadeTrie } from './made-trie.ts';

const script = join(import.meta.dirname, '..', '..', 'bench', 'torch', 'eager.py');

export interface TorchStep {
  readonly seconds: number;
  readonly loss: number;
}

export class TorchProcess implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  #errors = '';

  /** Throws `config` when the scripts are not there, as in the published package. */
  constructor(python: string) {
    if (!existsSync(script)) {
      throw new EspalierError('config', `${script} is missing: this benchmark runs from the source repository`);
    }
    this.#child = spawn(python, [script], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.on('error', (cause) => {
      this.#errors = `${python} does not start: ${cause.message}`;
    });
    this.#child.stdin.on('error', () => {});
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-4096);
    });
    this.#reader = createInterface({ input: this.#child.stdout });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** Loads a safetensors file; returns PyTorch's version. */
  async open(shape: ModelShape, weights: string, threads: number): Promise<string> {
    const { torch } = await this.#call({ command: 'open', shape, weights, threads });
    return String(torch);
  }

  /** Flat sequences of one length with their terms; returns the sequences of the fastest micro-batch. */
  async batch(name: string, flat: MadeTrie): Promise<number> {
    const { sequences } = await this.#call({ command: 'batch', name, ...flatFields(flat) });
    return Number(sequences);
  }

  /** One optimizer step at a learning rate of 0. */
  async step(name: string): Promise<TorchStep> {
    const { seconds, loss } = await this.#call({ command: 'step', name });
    return { seconds: Number(seconds), loss: Number(loss) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#reader.close();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill();
    await ended;
  }

  async #call(command: object): Promise<Readonly<Record<string, unknown>>> {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) {
      const last = this.#errors.trim().split('\n').at(-1) ?? '';
      throw new EspalierError('config', `PyTorch ended: ${last}; bench/torch/README.md says how to install it`);
    }
    return JSON.parse(value) as Record<string, unknown>;
  }
}

/** Row and column of each token that predicts a target, as eager.py takes them. */
function flatFields({ tokens, learned, spanStart, spanParent }: MadeTrie) {
  const ids: number[][] = [];
  const [rows, columns, targets]: [number[], number[], number[]] = [[], [], []];
  for (let row = 0; row < spanParent.length; row++) {
    const [from, to] = [spanStart[row] as number, spanStart[row + 1] as number];
    ids.push([...tokens.subarray(from, to)]);
    for (let at = from + 1; at < to; at++) {
      if (learned[at] === 0) continue;
      rows.push(row);
      columns.push(at - from - 1);
      targets.push(tokens[at] as number);
    }
  }
  return { ids, rows, columns, targets, counts: targets.map(() => 1) };
}
