/** Runs a suite file by file on machines of its own, and puts what they saw into the words of a `SuiteRun`. */
import type { FileTree } from '../../core/task.ts';
import type { SuiteRun } from '../sandbox.ts';
import { type FileRun, Machine } from './wasm-machine.ts';

export interface SuiteJob {
  readonly files: FileTree;
  readonly tests: readonly string[];
  /** Interrupts for the whole suite. */
  readonly fuel: number;
  readonly memoryBytes: number;
}

/** Keeps a machine between suites and replaces it when it is spent. */
export class SuiteRunner {
  #machine: Machine | null = null;

  /** The machine for a bound; takes the cost of a new one before a suite begins. */
  async prepare(memoryBytes: number): Promise<Machine> {
    const machine = this.#machine;
    if (machine !== null && !machine.spent && machine.memoryBytes === memoryBytes) return machine;
    this.#machine = await Machine.open(memoryBytes);
    return this.#machine;
  }

  async run(job: SuiteJob): Promise<SuiteRun> {
    const tests: { id: string; status: 'passed' | 'failed'; message: string }[] = [];
    const fuel = { left: job.fuel };
    let message: string | null = null;
    for (const path of job.tests) {
      if (!Object.hasOwn(job.files, path)) {
        message ??= `no file ${path}`;
        continue;
      }
      const machine = await this.prepare(job.memoryBytes);
      const run = machine.runFile(job.files, job.tests, path, fuel);
      for (const { title, failure } of run.tests) {
        tests.push({
          id: `${path} > ${title}`,
          status: failure === '' ? 'passed' : 'failed',
          message: oneLine(failure),
        });
      }
      message ??= faultOf(path, run);
      if (run.halt !== null) break;
    }
    return { completed: message === null, tests, message };
  }
}

function faultOf(path: string, run: FileRun): string | null {
  const last = run.tests.at(-1);
  if (run.halt !== null) return `${run.halt} in ${last === undefined ? path : `${path} > ${oneLine(last.title)}`}`;
  return run.loadError === '' ? null : `cannot load: ${oneLine(run.loadError)}`;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').slice(0, 240);
}
