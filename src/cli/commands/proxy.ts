import { Command } from 'commander';
import { relayUpstream } from '../../run/serving/relay-upstream.ts';
import { type AccessFlags, accessOf, toTerminal, withAccess } from './serving-options.ts';

export function proxyCommand(): Command {
  const command = new Command('proxy')
    .description('relays to an OpenAI- or Anthropic-compatible server, bytes untouched, and records every turn')
    .requiredOption('--upstream <url>', 'e.g. http://127.0.0.1:8000/v1; its key, if any, in ESPALIER_UPSTREAM_KEY')
    .option('--run <dir>', 'run directory (default: runs/serve, then runs/serve-2, ...)');
  return withAccess(command).action(async (options: ProxyFlags) => {
    const { upstream, run } = options;
    const upstreamKey = process.env['ESPALIER_UPSTREAM_KEY'] || null;
    await relayUpstream({ ...accessOf(options, process.env), upstream, upstreamKey, run: run ?? null }, toTerminal);
  });
}

interface ProxyFlags extends AccessFlags {
  readonly upstream: string;
  readonly run?: string;
}
