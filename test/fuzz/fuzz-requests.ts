/**
 * Sends hostile requests to the real proxy and holds each answer against what may come back.
 *
 * What must hold, of every request: an answer or an end within the deadline; a status of 2xx, or 4xx with the error
 * object of its dialect. Of every round: a good request is answered in between, no turn is on disk that was not asked
 * for, the proxy blames itself for nothing, its process lives, and its memory comes back to where it was.
 *
 * Stops by itself. Request n is a function of seed and n, but for ports and keys; in which order requests of several
 * connections come is the machine's affair.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { Random, seedOf } from '../../src/core/random.ts';
import { faultOf, isTurn } from './check-answer.ts';
import { heavyRequests } from './heavy-requests.ts';
import { type Answer, Connection, WireFault } from './http-client.ts';
import type { Command, Reply, StartOptions, Stopped } from './proxy-child.ts';
import { controlCase, type HostileCase, heavyCase, hostileCase, sweep, type Target } from './request-cases.ts';

export interface FuzzOptions {
  readonly requests: number;
  readonly seed: string;
  /** Connections at once. Default 8. */
  readonly connections?: number;
  /** Requests of a round: then the proxy is closed, its record read, and another one opened. Default 20,000. */
  readonly roundRequests?: number;
  /** Every parameter of every dialect with values of all kinds first. Default true. */
  readonly sweep?: boolean;
  /** Bodies that are enormous in one way, once each, after the rest. Default false. */
  readonly heavy?: boolean;
  readonly onProgress?: (report: FuzzReport) => void;
}

export interface FuzzReport {
  readonly requests: number;
  readonly seconds: number;
  /** Answers by kind of request and status. */
  readonly answers: ReadonlyMap<string, ReadonlyMap<string, number>>;
  readonly faults: readonly string[];
  readonly turns: number;
  /** Bytes of heap at the end of each round, when the proxy is closed. */
  readonly heap: readonly number[];
  readonly rss: readonly number[];
}

/** Of any exchange: a hang, on a machine that others keep busy. */
const deadlineMs = 180_000;
const limits: StartOptions = { headersMs: 60_000, requestMs: 120_000 };
/** Processor time that a body of 4 MiB may take: on a busy machine others take the rest. */
const heavyMs = 3000;
const controlEvery = 200;
const mostFaults = 20;
/** What closed rounds may leave behind: caches of the first ones are still growing. */
const heapSlack = 64 << 20;

export async function fuzzRequests(options: FuzzOptions): Promise<FuzzReport> {
  const child = new ProxyProcess();
  try {
    return await new Fuzzing(options, child).run();
  } finally {
    child.end();
  }
}

class Fuzzing {
  readonly #options: FuzzOptions;
  readonly #child: ProxyProcess;
  readonly #started = performance.now();
  readonly #answers = new Map<string, Map<string, number>>();
  readonly #faults: string[] = [];
  readonly #heap: number[] = [];
  readonly #rss: number[] = [];
  #sent = 0;
  #turns = 0;
  /** Of this round: turns that were answered, and those that may have been made for clients that left. */
  #answered = 0;
  #uncertain = 0;
  #swept = 0;

  constructor(options: FuzzOptions, child: ProxyProcess) {
    this.#options = options;
    this.#child = child;
  }

  async run(): Promise<FuzzReport> {
    const { requests, roundRequests = 20_000 } = this.#options;
    while (this.#sent < requests && this.#faults.length < mostFaults) {
      await this.#round(Math.min(requests, this.#sent + roundRequests));
    }
    return this.#report();
  }

  #report(): FuzzReport {
    return {
      requests: this.#sent,
      seconds: (performance.now() - this.#started) / 1000,
      answers: this.#answers,
      faults: this.#faults,
      turns: this.#turns,
      heap: this.#heap,
      rss: this.#rss,
    };
  }

  async #round(until: number): Promise<void> {
    const { connections = 8, seed } = this.#options;
    const target = await this.#child.start(limits);
    this.#answered = 0;
    this.#uncertain = 0;
    const cases = this.#options.sweep === false ? [].values() : sweep(new Random(seedOf(seed, 'sweep')), target);
    for (let i = 0; i < this.#swept; i++) cases.next();
    const work = async (): Promise<void> => {
      const line = new Line(target.port);
      while (this.#sent < until && this.#faults.length < mostFaults) {
        const number = this.#sent++;
        const swept = cases.next();
        if (swept.done !== true) this.#swept++;
        const hostile = swept.done === true ? hostileCase(new Random(seedOf(seed, number)), target) : swept.value;
        if (number % controlEvery === controlEvery - 1) await this.#control(line, target);
        await this.#try(line, target, hostile, number);
        if (number % 5000 === 4999) this.#options.onProgress?.(this.#report());
      }
      line.close();
    };
    const heavy = async (): Promise<void> => {
      const line = new Line(target.port);
      const random = new Random(seedOf(seed, 'heavy'));
      for (const request of heavyRequests()) {
        const before = await this.#child.cpuMs();
        await this.#try(line, target, heavyCase(random, target, request), this.#sent++);
        const ms = (await this.#child.cpuMs()) - before;
        if (ms > heavyMs)
          this.#faults.push(`${request.what} in ${request.part} took ${ms.toFixed(0)} ms of the processor`);
        await this.#control(line, target);
      }
      line.close();
    };
    await Promise.race([Promise.all(Array.from({ length: connections }, work)), this.#child.died]);
    if (this.#options.heavy === true && this.#heap.length === 0) await Promise.race([heavy(), this.#child.died]);
    this.#judge(await this.#child.stop());
  }

  async #try(line: Line, target: Target, hostile: HostileCase, number: number): Promise<readonly Answer[]> {
    const { kind, sending, turns } = hostile;
    try {
      const { answers, end } = await line.send(hostile);
      this.#count(
        kind,
        end === 'left' ? ['left'] : answers.length === 0 ? ['closed'] : answers.map((it) => `${it.status}`),
      );
      const served = answers.filter(isTurn).length;
      this.#answered += served;
      if (end !== 'open') this.#uncertain += Math.max(0, turns - served);
      for (const answer of answers) {
        const fault = faultOf(hostile, answer, sending.bodiless === true);
        if (fault !== null) this.#fault(hostile, number, fault);
        const opened = answer.status === 201 ? /"id":"([\w-]+)"/.exec(answer.body)?.[1] : undefined;
        if (opened !== undefined) await line.cancel(target, opened);
      }
      if (end === 'closed' && sending.after === 'wait' && answers.length === 0 && turns > 0) {
        this.#fault(hostile, number, 'closed without an answer');
      }
      return answers;
    } catch (thrown) {
      if (!(thrown instanceof WireFault)) throw thrown;
      this.#uncertain += turns;
      this.#fault(hostile, number, thrown.message);
      return [];
    }
  }

  /** A good request must be answered well at any time. */
  async #control(line: Line, target: Target): Promise<void> {
    const answers = await this.#try(line, target, controlCase(target), this.#sent);
    const text = /"content":"((?:[^"\\]|\\.)*)"/.exec(answers[0]?.body ?? '')?.[1];
    if (text !== 'I am well.') this.#faults.push(`a good request after ${this.#sent}: ${answers[0]?.status} ${text}`);
  }

  #judge({ recordedTurns, failures, heapUsed, rss }: Stopped): void {
    this.#turns += recordedTurns;
    this.#heap.push(heapUsed);
    this.#rss.push(rss);
    if (recordedTurns > this.#answered + this.#uncertain) {
      this.#faults.push(
        `${recordedTurns} turns on disk, ${this.#answered} answered, ${this.#uncertain} left by clients`,
      );
    }
    for (const failure of new Set(failures)) this.#faults.push(`the proxy blames itself: ${failure.slice(0, 300)}`);
    const first = this.#heap[Math.min(1, this.#heap.length - 1)] as number;
    if (heapUsed > first + heapSlack) this.#faults.push(`the heap grew from ${first} to ${heapUsed} bytes`);
  }

  #count(kind: string, statuses: readonly string[]): void {
    const row = this.#answers.get(kind) ?? new Map<string, number>();
    this.#answers.set(kind, row);
    for (const status of statuses) row.set(status, (row.get(status) ?? 0) + 1);
  }

  #fault({ kind, sending }: HostileCase, number: number, what: string): void {
    const bytes = Buffer.concat(sending.pieces);
    const shown = JSON.stringify(bytes.toString('latin1', 0, 4000));
    this.#faults.push(`request ${number} (${kind}, ${bytes.length} bytes): ${what}\n  ${shown}`);
  }
}

/** A connection that is opened anew when it has ended. */
class Line {
  readonly #port: number;
  #connection: Connection | null = null;

  constructor(port: number) {
    this.#port = port;
  }

  async send({ sending }: Pick<HostileCase, 'sending'>) {
    const connection = this.#connection?.closed === false ? this.#connection : new Connection(this.#port);
    this.#connection = null;
    const exchange = await connection.exchange(sending, deadlineMs);
    const last = exchange.answers.at(-1);
    if (exchange.end === 'open' && last?.headers.get('connection') !== 'close') this.#connection = connection;
    else connection.destroy();
    return exchange;
  }

  async cancel({ port, adminKey }: Target, id: string): Promise<void> {
    const head = [
      `POST /v1/espalier/sessions/${id}/cancel HTTP/1.1`,
      `host: 127.0.0.1:${port}`,
      `x-api-key: ${adminKey}`,
      'content-length: 0',
      '',
      '',
    ];
    await this.send({ sending: { pieces: [Buffer.from(head.join('\r\n'))], after: 'wait', answers: 1 } });
  }

  close(): void {
    this.#connection?.destroy();
  }
}

/** proxy-child.ts, and what it says when it should not end. */
class ProxyProcess {
  readonly #child: ChildProcess;
  readonly died: Promise<never>;
  #stderr = '';

  constructor() {
    this.#child = fork(new URL('./proxy-child.ts', import.meta.url), {
      execArgv: ['--expose-gc', '--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    this.#child.stderr?.on('data', (text: Buffer) => {
      this.#stderr = (this.#stderr + text.toString()).slice(-4000);
    });
    this.died = new Promise<never>((_, reject) => {
      this.#child.once('exit', (code, signal) =>
        reject(new Error(`the proxy ended: ${code ?? signal}\n${this.#stderr}`)),
      );
    });
    this.died.catch(() => undefined);
  }

  async start(options: StartOptions): Promise<Target> {
    return (await this.#ask({ type: 'start', ...options }, 'started')).target;
  }

  stop(): Promise<Stopped> {
    return this.#ask({ type: 'stop' }, 'stopped');
  }

  async cpuMs(): Promise<number> {
    return (await this.#ask({ type: 'cpu' }, 'cpu')).ms;
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }

  async #ask<T extends Reply['type']>(command: Command, type: T): Promise<Extract<Reply, { type: T }>> {
    const answered = new Promise<Reply>((resolve) => this.#child.once('message', (reply) => resolve(reply as Reply)));
    this.#child.send(command);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`the proxy does not ${command.type} within ${2 * deadlineMs} ms`)),
        2 * deadlineMs,
      );
    });
    const reply = await Promise.race([answered, this.died, late]).finally(() => clearTimeout(timer));
    if (reply.type !== type) throw new Error(`the proxy answered ${command.type} with ${reply.type}`);
    return reply as Extract<Reply, { type: T }>;
  }
}
