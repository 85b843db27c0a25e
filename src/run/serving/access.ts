/** Who may use a server that people start: its address, its keys, and what is said of them when it is ready. */
import { hostname, networkInterfaces } from 'node:os';
import { EspalierError } from '../../core/errors.ts';
import { AccessKey, newKey } from '../../proxy/access.ts';

export interface AccessOptions {
  readonly host: string;
  readonly port: number;
  /** Names, beside the own ones, that requests may be addressed to. */
  readonly allowedHosts: readonly string[];
  /** The agents' key and the launcher's, as the user gave them. */
  readonly key: string | null;
  readonly adminKey: string | null;
}

export interface ServerAccess {
  readonly host: string;
  readonly port: number;
  readonly allowedHosts: readonly string[];
  /** null: none was given. */
  readonly key: string | null;
  readonly adminKey: AccessKey;
  /** The admin key where it was made here, for the one line that shows it. */
  readonly newAdminKey: string | null;
}

/** Throws EspalierError('config') for a guessable key, and for an address of others without a key. */
export function serverAccess({ host, port, allowedHosts, key, adminKey }: AccessOptions): ServerAccess {
  if (key !== null) AccessKey.of(key, '--key');
  if (key === null && !isLoopback(host)) {
    throw new EspalierError('config', `--host ${host} can be reached from other machines: give it a --key`);
  }
  if (key !== null && key === adminKey) {
    throw new EspalierError('config', '--admin-key must differ from --key: agents must not reward themselves');
  }
  const newAdminKey = adminKey === null ? newKey() : null;
  return {
    host,
    port,
    allowedHosts: [...allowedHosts, ...(isWildcard(host) ? ownNames() : [])],
    key,
    adminKey: AccessKey.of(adminKey ?? (newAdminKey as string), '--admin-key'),
    newAdminKey,
  };
}

/** `listening: http://127.0.0.1:4123/v1  key: esp-...  admin: esp-...`: only keys that were made here. */
export function readyLine(url: string, keys: { readonly key: string | null; readonly admin: string | null }): string {
  const shown = Object.entries(keys).flatMap(([name, key]) => (key === null ? [] : [`${name}: ${key}`]));
  return [`listening: ${url}`, ...shown].join('  ');
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

const isWildcard = (host: string): boolean => host === '0.0.0.0' || host === '::';

function ownNames(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return [hostname(), ...addresses.map(({ address, family }) => (family === 'IPv6' ? `[${address}]` : address))];
}
