/** A hand-written upstream: it says what a test tells it to, byte by byte, and keeps what it was sent. */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
}

export type Answer = (response: ServerResponse, seen: SeenRequest) => void | Promise<void>;

export interface ScriptedUpstream {
  readonly url: string;
  readonly seen: SeenRequest[];
  /** What the next requests get. */
  answer: Answer;
  close(): Promise<void>;
}

export async function startUpstream(): Promise<ScriptedUpstream> {
  const seen: SeenRequest[] = [];
  const server = createServer((incoming, response) => {
    void readAll(incoming).then((body) => {
      const { method = '', url = '', rawHeaders } = incoming;
      const one = { method, url, rawHeaders, body };
      seen.push(one);
      return upstream.answer(response, one);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const upstream: ScriptedUpstream = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    answer: (response) => void response.end(),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return upstream;
}

export async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export interface Reply {
  readonly status: number;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  /** False: it broke off. */
  readonly complete: boolean;
}

/** Sends bytes as they are. `onPiece` sees each piece of the reply as it comes. */
export function send(
  url: string,
  options: {
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string | Buffer;
    readonly onPiece?: (piece: string) => void;
    readonly signal?: AbortSignal;
  } = {},
): Promise<Reply> {
  const { method = 'POST', headers = {}, body = '', onPiece, signal } = options;
  return new Promise((resolve, reject) => {
    const call = request(url, { method, headers, ...(signal && { signal }) }, (reply) => {
      const chunks: Buffer[] = [];
      reply.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        onPiece?.(chunk.toString());
      });
      reply.on('error', () => undefined);
      reply.on('close', () => {
        const { statusCode = 0, rawHeaders, complete } = reply;
        resolve({ status: statusCode, rawHeaders, body: Buffer.concat(chunks), complete });
      });
    });
    call.on('error', reject);
    call.end(body);
  });
}

export const sse = (...events: readonly (Readonly<Record<string, unknown>> | string)[]): string =>
  events.map((event) => (typeof event === 'string' ? event : `data: ${JSON.stringify(event)}\n\n`)).join('');

/** Header values by lower-case name. */
export function headerOf(rawHeaders: readonly string[], name: string): string | undefined {
  const at = rawHeaders.findIndex((each, i) => i % 2 === 0 && each.toLowerCase() === name);
  return at < 0 ? undefined : rawHeaders[at + 1];
}
