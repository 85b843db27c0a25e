/**
 * Frames over a byte stream: a pipe to a child process, or a socket to another machine.
 *
 * Invariants:
 * 1. What is sent in one turn of the event loop leaves in one write, in order.
 * 2. `congested` is true while the other side does not read; who can wait then waits for `drained`. Sending in spite of
 *    it only buffers.
 * 3. `onClose` is called once, with what broke or null; nothing is received after it.
 */
import type { Duplex } from 'node:stream';
import { type Blob, encodeFrame, type Frame, FrameReader } from './frames.ts';

const concatenateBelow = 256 * 1024;

export class Channel {
  readonly #stream: Duplex;
  #pending: Buffer[] = [];
  #flushing = false;
  #congested = false;
  #waiters: (() => void)[] = [];
  #closed = false;
  readonly #onClose: (thrown: unknown) => void;

  constructor(stream: Duplex, onFrame: (frame: Frame) => void, onClose: (thrown: unknown) => void) {
    this.#stream = stream;
    this.#onClose = onClose;
    const reader = new FrameReader();
    stream.on('data', (chunk: Buffer) => {
      if (this.#closed) return;
      try {
        for (const frame of reader.push(chunk)) onFrame(frame);
      } catch (thrown) {
        this.#close(thrown);
        stream.destroy();
      }
    });
    stream.on('drain', () => this.#release());
    stream.on('error', (thrown) => this.#close(thrown));
    stream.on('end', () => this.#close(null));
    stream.on('close', () => this.#close(null));
  }

  get congested(): boolean {
    return this.#congested;
  }

  /** Resolves when the other side reads again, or the stream closed. */
  drained(): Promise<void> {
    if (!this.#congested) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** Queues a frame; no effect after the stream closed. */
  send(message: unknown, blobs: readonly Blob[] = []): void {
    if (this.#closed) return;
    this.#pending.push(encodeFrame({ message, blobs }));
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => this.#flush());
  }

  /** Sends what is queued and ends this side. */
  end(): void {
    this.#flush();
    this.#stream.end();
  }

  #flush(): void {
    this.#flushing = false;
    const parts = this.#pending.splice(0);
    if (parts.length === 0 || this.#closed) return;
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    if (size < concatenateBelow) {
      this.#congested = !this.#stream.write(Buffer.concat(parts, size));
      return;
    }
    this.#stream.cork();
    for (const part of parts) this.#congested = !this.#stream.write(part);
    this.#stream.uncork();
  }

  #release(): void {
    this.#congested = false;
    for (const wake of this.#waiters.splice(0)) wake();
  }

  #close(thrown: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#release();
    this.#onClose(thrown);
  }
}
