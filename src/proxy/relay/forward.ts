/**
 * One call to the upstream: bytes both ways as they come, and a copy of them.
 *
 * Not HTTP semantics: status, heads and bodies pass as they are, errors of the upstream too.
 *
 * Invariants:
 * 1. The copy never delays or alters what passes.
 * 2. A reply that breaks off upstream breaks off here: no client takes it for an end.
 * 3. When the client goes away the upstream's call ends.
 */
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { messageOf } from '../../core/errors.ts';
import { Refusal } from '../../dialects/refusal.ts';
import { Copy, type CopyBudget } from './copy.ts';
import { passed, type Upstream } from './headers.ts';

export interface ForwardOptions {
  readonly upstream: Upstream;
  readonly agent: HttpAgent | HttpsAgent;
  readonly method: string;
  /** Of the request, after the upstream's base. */
  readonly path: string;
  /** Name, value, name, value, ... */
  readonly headers: readonly string[];
  readonly body: Readable;
  readonly response: ServerResponse;
  readonly budget: CopyBudget;
  readonly copyLimitBytes: number;
  readonly connectTimeoutMs: number;
}

/** A call that got a reply. Who takes it releases both copies. */
export interface Exchange {
  readonly status: number;
  readonly replyHeaders: IncomingMessage['headers'];
  readonly sent: Copy;
  readonly received: Copy;
  readonly end: 'whole' | 'upstream-broke' | 'client-left';
}

export function agentFor(upstream: Upstream): HttpAgent | HttpsAgent {
  return upstream.url.protocol === 'https:' ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
}

/** Resolves when the reply has ended, however. Rejects with Refusal: 502 when there was none, 499 without a client. */
export function forward(options: ForwardOptions): Promise<Exchange> {
  const { body, response } = options;
  const sent = new Copy(options.budget, options.copyLimitBytes);
  const received = new Copy(options.budget, options.copyLimitBytes);
  return new Promise((resolve, reject) => {
    let call = start();
    let reply: IncomingMessage | null = null;
    let isSettled = false;

    body.on('data', (chunk: Buffer) => {
      sent.add(chunk);
      if (!call.write(chunk)) body.pause();
    });
    body.on('end', () => call.end());
    response.on('close', () => {
      if (response.writableFinished) return;
      call.destroy();
      if (reply === null) fail(new Refusal(499, 'The client closed the connection.'));
      else settle(reply, 'client-left');
    });

    function start(): ClientRequest {
      const next = open(options);
      next.on('drain', () => body.resume());
      next.on('response', (given) => {
        reply = given;
        pass(given);
      });
      next.on('error', (cause: NodeJS.ErrnoException) => {
        if (reply !== null || isSettled) return;
        // An idle connection that the upstream closed at the same moment: it read nothing of this call.
        if (next.reusedSocket && cause.code === 'ECONNRESET' && sent.chunks !== null) again(sent.chunks);
        else fail(unreachable(options.upstream, cause));
      });
      return next;
    }

    function again(chunks: readonly Buffer[]): void {
      call = start();
      for (const chunk of chunks) call.write(chunk);
      if (body.readableEnded) call.end();
      else body.resume();
    }

    function pass(given: IncomingMessage): void {
      response.sendDate = false;
      response.writeHead(given.statusCode ?? 502, given.statusMessage ?? '', passed(given.rawHeaders));
      response.flushHeaders();
      given.on('data', (chunk: Buffer) => {
        received.add(chunk);
        if (!response.write(chunk)) given.pause();
      });
      response.on('drain', () => given.resume());
      given.on('end', () => {
        response.end();
        settle(given, 'whole');
      });
      given.on('error', () => undefined);
      given.on('close', () => {
        if (given.complete) return;
        response.destroy();
        settle(given, 'upstream-broke');
      });
    }

    function settle(given: IncomingMessage, end: Exchange['end']): void {
      if (isSettled) return;
      isSettled = true;
      resolve({ status: given.statusCode ?? 502, replyHeaders: given.headers, sent, received, end });
    }

    function fail(refusal: Refusal): void {
      if (isSettled) return;
      isSettled = true;
      sent.release();
      reject(refusal);
    }
  });
}

function open({ upstream, agent, method, path, headers, connectTimeoutMs }: ForwardOptions): ClientRequest {
  const { url } = upstream;
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const call = send({
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? undefined : url.port,
    method,
    path: `${upstream.base}${path}`,
    headers: ['Host', url.host, ...headers],
    agent,
    setDefaultHeaders: false,
  });
  call.on('socket', (socket) => {
    if (!socket.connecting) return;
    const impatient = setTimeout(
      () => call.destroy(new Error(`no connection after ${connectTimeoutMs} ms`)),
      connectTimeoutMs,
    );
    socket.once('connect', () => clearTimeout(impatient));
    socket.once('close', () => clearTimeout(impatient));
  });
  return call;
}

function unreachable({ origin }: Upstream, cause: NodeJS.ErrnoException): Refusal {
  const why = messageOf(cause) || (cause.code ?? 'no answer');
  return new Refusal(502, `The upstream ${origin} gave no answer: ${why}`, { code: 'upstream_failure', cause });
}
