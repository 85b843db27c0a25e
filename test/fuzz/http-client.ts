/**
 * A client that writes bytes, not requests: it sends what no HTTP library would, and reads answers strictly.
 *
 * Invariants:
 * 1. An exchange ends: with the answers that were asked for, with the connection, or at its deadline, which is a fault.
 * 2. Bytes that are no HTTP/1.1 answer are a fault of the server, never skipped.
 */
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** What is sent, and when the exchange is over. */
export interface Sending {
  /** Written one after another, a pause of `pauseMs` between two. */
  readonly pieces: readonly Uint8Array[];
  readonly pauseMs?: number;
  /**
   * After the last piece: wait for `answers`; close our half and wait for the server's; or go away at once, politely or
   * with a reset.
   */
  readonly after: 'wait' | 'half-close' | 'leave' | 'reset';
  readonly answers: number;
  /** Go away when so many bytes of the answers have come. */
  readonly leaveAfterBytes?: number;
  /** HEAD: answers name a length and have no body. */
  readonly bodiless?: boolean;
}

export interface Exchange {
  readonly answers: readonly Answer[];
  /** Who ended it; `open` may be used again. */
  readonly end: 'open' | 'closed' | 'left';
}

/** The server did what no server may do. */
export class WireFault extends Error {}

const mostHeaderBytes = 1 << 16;

/** Takes answers apart as their bytes come. Throws WireFault. */
class AnswerReader {
  readonly #bodiless: boolean;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(bodiless: boolean) {
    this.#bodiless = bodiless;
  }

  get rest(): number {
    return this.#bytes.length;
  }

  push(chunk: Buffer): Answer[] {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    const answers: Answer[] = [];
    for (let answer = this.#next(); answer !== null; answer = this.#next()) {
      if (answer.status >= 200) answers.push(answer);
    }
    return answers;
  }

  #next(): Answer | null {
    const end = this.#bytes.indexOf('\r\n\r\n');
    if (end < 0) {
      if (this.#bytes.length > mostHeaderBytes) throw new WireFault('headers without an end');
      return null;
    }
    const [first = '', ...lines] = this.#bytes.toString('latin1', 0, end).split('\r\n');
    const status = /^HTTP\/1\.1 (\d{3}) [\x20-\x7e]*$/.exec(first)?.[1];
    if (status === undefined) throw new WireFault(`not a status line: ${JSON.stringify(first.slice(0, 200))}`);
    const headers = new Map(lines.map(headerOf));
    const read = this.#body(end + 4, Number(status), headers);
    if (read === null) return null;
    this.#bytes = this.#bytes.subarray(read.end);
    return { status: Number(status), headers, body: read.body };
  }

  #body(from: number, status: number, headers: ReadonlyMap<string, string>): { body: string; end: number } | null {
    if (status < 200 || status === 204 || this.#bodiless) return { body: '', end: from };
    if (headers.get('transfer-encoding') === 'chunked') return this.#chunks(from);
    const length = headers.get('content-length');
    if (length === undefined || !/^\d+$/.test(length)) throw new WireFault(`an answer ${status} without a length`);
    const end = from + Number(length);
    return this.#bytes.length < end ? null : { body: this.#bytes.toString('utf8', from, end), end };
  }

  #chunks(from: number): { body: string; end: number } | null {
    const parts: Buffer[] = [];
    for (let at = from; ; ) {
      const line = this.#bytes.indexOf('\r\n', at);
      if (line < 0) return null;
      const size = /^[0-9a-f]+$/i.exec(this.#bytes.toString('latin1', at, line))?.[0];
      if (size === undefined) throw new WireFault('a chunk without a size');
      const start = line + 2;
      const end = start + Number.parseInt(size, 16);
      if (this.#bytes.length < end + 2) return null;
      parts.push(this.#bytes.subarray(start, end));
      at = end + 2;
      if (start === end) return { body: Buffer.concat(parts).toString('utf8'), end: at };
    }
  }
}

function headerOf(line: string): [string, string] {
  const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+): ?([^\r\n]*)$/.exec(line) ?? [];
  if (name === undefined) throw new WireFault(`not a header: ${JSON.stringify(line.slice(0, 200))}`);
  return [name.toLowerCase(), value ?? ''];
}

export class Connection {
  readonly #socket: Socket;
  #onData: (chunk: Buffer) => void = () => {};
  #onClose: () => void = () => {};
  closed = false;

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    // A reset is an end like another: the answers that came before it are what counts.
    this.#socket.on('error', () => undefined);
    this.#socket.on('end', () => this.#socket.end());
    this.#socket.on('close', () => {
      this.closed = true;
      this.#onClose();
    });
  }

  /** Rejects with WireFault. */
  async exchange(sending: Sending, deadlineMs: number): Promise<Exchange> {
    const answers: Answer[] = [];
    const reader = new AnswerReader(sending.bodiless === true);
    let received = 0;
    let onFirst = (): void => {};
    const first = new Promise<void>((resolve) => {
      onFirst = resolve;
    });
    const over = new Promise<Exchange['end']>((resolve, reject) => {
      const finish = (): void => {
        // Who closes a half has gone, for node:http: a stream may end there.
        if (reader.rest > 0 && sending.after !== 'half-close')
          reject(new WireFault('the connection ended within an answer'));
        else resolve('closed');
      };
      this.#onClose = finish;
      this.#onData = (chunk) => {
        received += chunk.length;
        if (received > (sending.leaveAfterBytes ?? Number.POSITIVE_INFINITY)) return resolve('left');
        try {
          answers.push(...reader.push(chunk));
          if (answers.length > 0) onFirst();
        } catch (fault) {
          reject(fault);
        }
        if (sending.after === 'wait' && answers.length >= sending.answers) resolve('open');
      };
      if (this.closed) finish();
      const timer = setTimeout(
        () => reject(new WireFault(`no end after ${deadlineMs} ms: ${answers.length} answers, ${reader.rest} bytes`)),
        deadlineMs,
      );
      this.#onEnd = () => clearTimeout(timer);
    });
    over.catch(() => undefined);
    try {
      await this.#send(sending);
      if (sending.after === 'half-close') {
        // At once, it would cut off an answer that is on its way.
        await Promise.race([first, new Promise((resolve) => setTimeout(resolve, 200))]);
        this.#socket.end();
      }
      if (sending.after === 'leave' || sending.after === 'reset') {
        this.destroy(sending.after === 'reset');
        return { answers, end: 'left' };
      }
      const end = await over;
      if (end !== 'open') this.destroy();
      return { answers, end };
    } finally {
      this.#onEnd();
      this.#onData = () => {};
      this.#onClose = () => {};
    }
  }

  #onEnd: () => void = () => {};

  /** Writes on although the server may have answered already: that is a part of the hostility. */
  async #send({ pieces, pauseMs }: Sending): Promise<void> {
    for (const [i, piece] of pieces.entries()) {
      if (i > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs ?? 0));
      if (this.closed) return;
      if (!this.#socket.write(piece) && !this.closed) {
        await new Promise<void>((resolve) => {
          this.#socket.once('drain', resolve).once('close', resolve);
        });
      }
    }
  }

  destroy(reset = false): void {
    if (reset) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }
}
