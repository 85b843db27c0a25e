/**
 * What of a message's head passes through a relay: everything but what belongs to one connection, in its order and
 * its spelling; and where the upstream is.
 */
import { EspalierError } from '../../core/errors.ts';

const ofConnection = new Set(
  'connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade'.split(
    ' ',
  ),
);
/** Headers that carry a key. */
export const authHeaders = ['authorization', 'x-api-key', 'x-goog-api-key'] as const;

/** `rawHeaders` as Node gives them: name, value, name, value, ...; `left` names, in lower case, do not pass. */
export function passed(rawHeaders: readonly string[], left: ReadonlySet<string> = new Set()): string[] {
  const named = new Set(valuesOf(rawHeaders, 'connection').flatMap((value) => value.toLowerCase().split(/\s*,\s*/)));
  const kept: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase();
    if (ofConnection.has(name) || named.has(name) || left.has(name)) continue;
    kept.push(rawHeaders[i] as string, rawHeaders[i + 1] as string);
  }
  return kept;
}

function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name);
}

/** The header that carries an upstream's key, name and value, for a path such as `/v1/messages`. */
export function keyHeader(path: string, key: string): [string, string] {
  return path.startsWith('/v1/messages') ? ['x-api-key', key] : ['Authorization', `Bearer ${key}`];
}

export interface Upstream {
  /** `https://api.example.com` */
  readonly origin: string;
  readonly url: URL;
  /** Goes before a request's path: '' or `/api`, without the `/v1` that the path brings. */
  readonly base: string;
}

/** Throws EspalierError('config') for what is no address of an upstream. */
export function upstreamOf(text: string): Upstream {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new EspalierError('config', `--upstream ${text}: give an address such as http://127.0.0.1:8000/v1`);
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new EspalierError(
      'config',
      `--upstream ${url.origin}: it may not carry a password or parameters; put the upstream's key into the environment`,
    );
  }
  return { origin: url.origin, url, base: url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '') };
}
