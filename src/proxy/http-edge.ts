/**
 * The edge of the proxy: who may speak, how long a body may be, what a path means. No conversation here.
 */
import { isUtf8 } from 'node:buffer';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { nestsDeeper } from '../core/json-depth.ts';
import type { Dialect } from '../dialects/dialect.ts';
import { Refusal } from '../dialects/refusal.ts';

export interface Route {
  /** From `/s/<session>/v1/...`, or null. */
  readonly session: string | null;
  /** After `/v1`, e.g. `/chat/completions`. */
  readonly path: string;
}

export function routeOf(url: string): Route | null {
  const match = /^(?:\/s\/([\w-]+))?\/v1(\/[\w/.-]*)(?:\?.*)?$/.exec(url);
  return match === null ? null : { session: match[1] ?? null, path: match[2] as string };
}

/**
 * A browser page on any site can reach a loopback port under a name that it controls; it cannot choose another Host.
 * Throws Refusal.
 */
export function checkHost(header: string | undefined, allowed: ReadonlySet<string>): void {
  const name = (header ?? '').replace(/:\d+$/, '').toLowerCase();
  if (!allowed.has(name)) {
    throw new Refusal(403, `Host '${name}' is not served here; allow it in the proxy's settings.`, {
      code: 'host_not_allowed',
    });
  }
}

/** Bearer, x-api-key or x-goog-api-key: agents differ. */
export function apiKeyOf(headers: IncomingHttpHeaders): string | null {
  const bearer = /^bearer +(\S+)$/i.exec(headers.authorization ?? '');
  if (bearer !== null) return bearer[1] as string;
  const named = headers['x-api-key'] ?? headers['x-goog-api-key'];
  return typeof named === 'string' && named !== '' ? named : null;
}

/** Stainless clients (openai, anthropic) say how often they tried before. */
export function isRetry(headers: IncomingHttpHeaders): boolean {
  return Number(headers['x-stainless-retry-count'] ?? 0) > 0;
}

const maxLevels = 200;

/** The parsed JSON body. Rejects with Refusal: 413 above the limit, 400 when it is not UTF-8, not JSON or nested too deep. */
export async function readJson(request: IncomingMessage, limitBytes: number): Promise<unknown> {
  return jsonIn(await readBody(request, limitBytes));
}

/** Throws Refusal: 400 when it is not UTF-8, not JSON or nested too deep. */
export function jsonIn(bytes: Buffer): unknown {
  // Decoded all the same, they would be other words than were sent.
  if (!isUtf8(bytes)) throw new Refusal(400, 'The body is not valid UTF-8.');
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new Refusal(400, 'The body is not valid JSON.', { cause });
  }
  if (nestsDeeper(json, maxLevels)) throw new Refusal(400, `The body is nested deeper than ${maxLevels} levels.`);
  return json;
}

/** Rejects with Refusal: 413 above the limit. */
export function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const tooLarge = () =>
    new Refusal(413, `The body is larger than ${limitBytes} bytes.`, { code: 'request_too_large' });
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limitBytes) chunks.push(chunk);
      else {
        // What is left is read and thrown away: a reset would take the answer with it.
        chunks.length = 0;
        reject(tooLarge());
      }
    });
    request.on('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    request.on('error', reject);
    request.on('close', () => {
      if (!request.complete) reject(new Refusal(400, 'The body ended early.'));
    });
  });
}

export function sendJson(
  response: ServerResponse,
  status: number,
  json: string,
  headers: Record<string, string> = {},
): void {
  const body = Buffer.from(json);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length, ...headers });
  response.end(body);
}

export function sendRefusal(response: ServerResponse, refusal: Refusal, dialect: Dialect): void {
  sendJson(response, refusal.status, dialect.error(refusal), {
    ...((refusal.status === 429 || refusal.status >= 500) && { 'retry-after': '1' }),
  });
}
