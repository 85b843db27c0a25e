/**
 * Who may use a proxy: keys that people give, and the pages that a browser speaks for.
 *
 * Keys of sessions that the proxy makes itself are in sessions.ts.
 *
 * Invariants:
 * 1. Of a key only its SHA-256 is kept, and it is compared in constant time.
 * 2. A key is worth at least 128 bits, as far as its letters can tell.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { EspalierError } from '../core/errors.ts';
import { Refusal } from '../dialects/refusal.ts';

const minBits = 128;
/** Fewer different characters than this are a pattern, not a key. */
const minDistinct = 8;

export class AccessKey {
  readonly #digest: Buffer;

  private constructor(digest: Buffer) {
    this.#digest = digest;
  }

  /** `from` names where the key was given, e.g. `--key`. Throws EspalierError('config') for a guessable one. */
  static of(key: string, from: string): AccessKey {
    if (!/^[\x21-\x7e]*$/.test(key)) {
      throw new EspalierError('config', `${from}: a key is printable ASCII without spaces; leave it out to get one`);
    }
    const bits = Math.floor(key.length * bitsPerCharacter(key));
    if (bits < minBits || new Set(key).size < minDistinct) {
      throw new EspalierError(
        'config',
        `${from}: a key needs at least ${minBits} random bits, and this one has at most ${bits}: ` +
          'give e.g. 32 random hexadecimal digits, or leave it out to get one',
      );
    }
    return new AccessKey(hash('sha256', key, 'buffer'));
  }

  matches(given: string | null): boolean {
    return given !== null && timingSafeEqual(this.#digest, hash('sha256', given, 'buffer'));
  }
}

/** 256 random bits. */
export function newKey(): string {
  return `esp-${randomBytes(32).toString('base64url')}`;
}

function bitsPerCharacter(key: string): number {
  if (/^\d*$/.test(key)) return Math.log2(10);
  if (/^[\da-f-]*$/i.test(key)) return 4;
  return /^[\da-z-]*$/.test(key) ? Math.log2(36) : 6;
}

/**
 * A page may only speak to the proxy when it comes from a host that is served here. Programs send no Origin.
 * Throws Refusal.
 */
export function checkOrigin(header: string | undefined, allowed: ReadonlySet<string>): void {
  if (header === undefined) return;
  const host = URL.canParse(header) ? new URL(header).hostname.toLowerCase() : '';
  if (!allowed.has(host)) {
    throw new Refusal(403, 'Pages of this origin may not use the proxy.', { code: 'origin_not_allowed' });
  }
}

/** Names under which a server on `host` answers: loopback's, its own, and those given. */
export function servedNames(host: string, allowedHosts: readonly string[] = []): ReadonlySet<string> {
  const own = host.includes(':') ? `[${host}]` : host;
  return new Set(['127.0.0.1', 'localhost', '[::1]', own, ...allowedHosts].map((name) => name.toLowerCase()));
}
