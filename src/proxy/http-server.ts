/**
 * node:http as both proxies open it: limits of time, and errors with a body for what is no HTTP.
 *
 * Invariants:
 * 1. A connection that sends too slowly, or nothing, ends.
 * 2. Bytes that are no request get 4xx in the form of the dialect that they seem to speak, and the connection ends;
 *    nothing is written into an answer that has begun.
 */
import { createServer, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { chatErrorJson } from '../dialects/chat-reply.ts';
import { messagesErrorJson } from '../dialects/messages-reply.ts';
import { Refusal } from '../dialects/refusal.ts';

/** Milliseconds from the first byte, or from the opening of the connection. */
export interface SlowRequest {
  readonly headersMs: number;
  readonly requestMs: number;
}

export function createHttpServer(slow: SlowRequest = { headersMs: 30_000, requestMs: 120_000 }): Server {
  const server = createServer({
    headersTimeout: slow.headersMs,
    requestTimeout: slow.requestMs,
    connectionsCheckingInterval: Math.min(5000, slow.headersMs),
    keepAliveTimeout: 75_000,
    // Hosts are checked, and refused with a body, in http-edge.ts.
    requireHostHeader: false,
  });
  /** Several where a client does not wait: each goes out when those before it have. */
  const answers = new WeakMap<Duplex, Set<ServerResponse>>();
  server.on('request', ({ socket }, response) => {
    const open = answers.get(socket) ?? new Set();
    answers.set(socket, open.add(response));
    response.once('close', () => open.delete(response));
  });
  server.on('clientError', (error: ClientError, socket) => {
    if (refused.has(socket)) return;
    const open = [...(answers.get(socket) ?? [])];
    const hasBegun = open.some((answer) => answer.headersSent);
    if (error.code === 'ECONNRESET' || !socket.writable || hasBegun) socket.destroy();
    else refuse(socket, refusalOf(error), speaksMessages(open.at(-1), error.rawPacket));
  });
  server.on('connect', (_, socket) => {
    socket.on('error', () => undefined);
    refuse(socket, new Refusal(405, 'This is no proxy for CONNECT.'), false);
  });
  return server;
}

type ClientError = NodeJS.ErrnoException & { readonly rawPacket?: Buffer; readonly reason?: string };

const refused = new WeakSet<Duplex>();
/** Closed at once, with bytes of the client unread, the connection would be reset and the answer lost. */
const lingerMs = 500;

function refuse(socket: Duplex, refusal: Refusal, inMessages: boolean): void {
  refused.add(socket);
  const body = (inMessages ? messagesErrorJson : chatErrorJson)(refusal);
  const head = [
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
  const timer = setTimeout(() => socket.destroy(), lingerMs).unref();
  socket.once('close', () => clearTimeout(timer));
}

function refusalOf({ code, message, reason }: ClientError): Refusal {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new Refusal(431, 'The headers are too large.', { code: 'headers_too_large' });
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new Refusal(413, 'The chunk extensions are too large.', { code: 'request_too_large' });
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Refusal(408, 'The request came too slowly.', { code: 'request_timeout' });
    default:
      return new Refusal(400, `This is no HTTP request: ${reason ?? message}`, { code: 'invalid_http' });
  }
}

/** By the request whose body is broken, or as far as the bytes that could not be read tell. */
function speaksMessages(answer: ServerResponse | undefined, bytes: Buffer | undefined): boolean {
  if (answer !== undefined) {
    return /\/v1\/messages/.test(answer.req.url ?? '') || answer.req.headers['anthropic-version'] !== undefined;
  }
  return bytes !== undefined && /^POST \S*\/v1\/messages|^anthropic-version:/im.test(bytes.toString('latin1', 0, 4096));
}
