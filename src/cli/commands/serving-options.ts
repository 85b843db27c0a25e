/** Options of the commands that listen. Keys may come from the environment, where other users of a machine see none. */
import type { Command } from 'commander';
import type { AccessOptions } from '../../run/serving/access.ts';
import type { ServeOutput } from '../../run/serving/serve.ts';
import { collect, wholeNumber } from '../options.ts';

export interface AccessFlags {
  readonly host: string;
  readonly port: number;
  readonly allowHost: readonly string[];
  readonly key?: string;
  readonly adminKey?: string;
}

export function withAccess(command: Command): Command {
  return command
    .option('--port <n>', 'port to listen on; 0 is any free one', wholeNumber, 0)
    .option('--host <address>', 'address to listen on; other machines need a --key', '127.0.0.1')
    .option('--allow-host <name>', 'a further name that requests may be addressed to; may be repeated', collect, [])
    .option('--key <key>', "the agents' key, at least 128 bits (or ESPALIER_KEY)")
    .option('--admin-key <key>', 'the key of the sessions API (or ESPALIER_ADMIN_KEY; default: a new one)');
}

export function accessOf(flags: AccessFlags, env: NodeJS.ProcessEnv): AccessOptions {
  return {
    host: flags.host,
    port: flags.port,
    allowedHosts: flags.allowHost,
    key: flags.key ?? (env['ESPALIER_KEY'] || null),
    adminKey: flags.adminKey ?? (env['ESPALIER_ADMIN_KEY'] || null),
  };
}

export const toTerminal: ServeOutput = {
  ready: (line) => void process.stdout.write(`${line}\n`),
  tell: (line) => void process.stderr.write(`${line}\n`),
};
