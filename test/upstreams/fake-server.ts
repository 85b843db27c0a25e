/**
 * A hand-written HTTP server in front of our own engine, with the faults of real ones: it crashes, comes back on its port
 * with its first weights, drops a stream, falls silent. What it answers is its route's matter: fake-vllm.ts,
 * fake-sglang.ts.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type EmbeddedEngine, openEmbedded } from '../../src/engine/engines/embedded.ts';
import { unhurriedNative } from './unhurried-native.ts';

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly key: string | undefined;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Thrown by a route: an answer of that status. */
export class Answer extends Error {
  readonly status: number;
  readonly body: unknown;
  constructor(status: number, body: unknown) {
    super(`answer ${status}`);
    this.status = status;
    this.body = body;
  }
}

/** Gives JSON, or answers by itself. */
export type Route = (call: Call, response: ServerResponse) => Promise<unknown>;
export const answered = Symbol('answered');

export class FakeServer {
  readonly calls: Call[] = [];
  /** Completions that run. */
  running = 0;
  /** Connections that were made to it. */
  connections = 0;
  /** The next stream's connection breaks after so many events. */
  dropAfter = Number.POSITIVE_INFINITY;
  /** Every stream's does. */
  dropAlways = Number.POSITIVE_INFINITY;
  /** Streams send nothing, and health checks get no answer. */
  silent = false;
  readonly #model: string;
  readonly #route: Route;
  readonly #sockets = new Set<Socket>();
  #engine: EmbeddedEngine | null = null;
  #server: Server | null = null;
  #port = 0;

  constructor(model: string, route: Route) {
    this.#model = model;
    this.#route = route;
  }

  /** Throws the answer of a server whose engine died. */
  get engine(): EmbeddedEngine {
    if (this.#engine === null) throw new Answer(503, { error: { message: 'the engine is dead', code: 503 } });
    return this.#engine;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** On the port that it had before, with its first weights. */
  async listen(): Promise<void> {
    this.#engine = await openEmbedded({ model: this.#model, threads: 1 }, unhurriedNative());
    const server = createServer((request, response) => void this.#answer(request, response));
    server.on('connection', (socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((listening) => server.listen(this.#port, '127.0.0.1', listening));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** As of a process that is killed. */
  async crash(): Promise<void> {
    const [server, engine] = [this.#server, this.#engine];
    [this.#server, this.#engine] = [null, null];
    for (const socket of this.#sockets) socket.destroy();
    if (server !== null) await new Promise((closed) => server.close(closed));
    await engine?.close();
  }

  /** Sends the events as `data` lines and `[DONE]`, unless the connection breaks. */
  async stream(response: ServerResponse, events: AsyncIterable<unknown>): Promise<typeof answered> {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    response.flushHeaders();
    let left = Math.min(this.dropAfter, this.dropAlways);
    this.dropAfter = Number.POSITIVE_INFINITY;
    this.running += 1;
    try {
      for await (const event of events) {
        if (left-- <= 0) {
          response.destroy();
          return answered;
        }
        while (this.silent && !response.destroyed) await new Promise((later) => setTimeout(later, 5));
        response.write(`data: ${JSON.stringify(event)}\n\n`);
      }
    } finally {
      this.running -= 1;
    }
    response.end('data: [DONE]\n\n');
    return answered;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://fake');
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    const key = request.headers.authorization?.replace('Bearer ', '');
    const call = { method: request.method ?? '', path: pathname, query: searchParams, key, body };
    this.calls.push(call);
    if (pathname === '/health' && this.silent) return;
    try {
      const answer = await this.#route(call, response);
      if (answer !== answered) send(response, 200, answer);
    } catch (thrown) {
      if (thrown instanceof Answer) send(response, thrown.status, thrown.body);
      else send(response, 500, { error: { message: String(thrown), code: 500 } });
    }
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(body === null ? '' : JSON.stringify(body));
}
