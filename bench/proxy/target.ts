/**
 * What is measured, in a process of its own: our proxy with all that `espalier serve` has (journal, metrics, keys,
 * sessions, engine in a child), or the naive relay. Its parent asks for its figures by messages.
 *
 *   node target.ts ours|naive FOLDER PACE UPSTREAM
 */
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { groupId, rolloutId } from '../../src/core/ids.ts';
import { createEngineHost } from '../../src/host/engine-host.ts';
import { AccessKey, newKey } from '../../src/proxy/access.ts';
import { listen, originOf } from '../../src/proxy/listen.ts';
import { Metrics } from '../../src/proxy/metrics.ts';
import { createProxy } from '../../src/proxy/proxy.ts';
import type { OpenSession } from '../../src/proxy/sessions.ts';
import { loadRenderer } from '../../src/tokens/load.ts';
import { Journal } from '../../src/trajectory/journal.ts';
import { naiveRelay } from './naive-relay.ts';
import { modelFolder } from './script.ts';

export interface Address {
  /** Before `/chat/completions`. */
  readonly baseUrl: string;
  readonly apiKey: string;
}

export interface Usage {
  /** Of all threads. */
  readonly cpuMs: number;
  readonly rssMb: number;
  readonly heapMb: number;
  /** Since the last time that it was asked. */
  readonly lagP99Ms: number;
  readonly lagMaxMs: number;
}

export type Ask =
  | { readonly ask: 'open'; readonly count: number }
  | { readonly ask: 'close' }
  | { readonly ask: 'usage'; readonly collect: boolean };

const [kind, folder, pace, upstream] = process.argv.slice(2) as [string, string, string, string];
const open = kind === 'ours' ? await ours() : await naive();
const lag = monitorEventLoopDelay({ resolution: 1 });
lag.enable();
process.on('message', (message: Ask) => void answer(message).then((value) => process.send?.(value)));
process.on('disconnect', () => process.exit(0));
process.send?.('ready');

async function answer(message: Ask): Promise<unknown> {
  if (message.ask === 'open') return Promise.all(Array.from({ length: message.count }, open.one));
  if (message.ask === 'close') return open.closeAll().then(() => 'closed');
  if (message.collect) (globalThis as { gc?: () => void }).gc?.();
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  const usage: Usage = {
    cpuMs: (user + system) / 1000,
    rssMb: rss / 2 ** 20,
    heapMb: heapUsed / 2 ** 20,
    lagP99Ms: lag.percentile(99) / 1e6,
    lagMaxMs: lag.max / 1e6,
  };
  lag.reset();
  return usage;
}

interface Opener {
  readonly one: () => Promise<Address>;
  readonly closeAll: () => Promise<void>;
}

async function ours(): Promise<Opener> {
  const metrics = new Metrics(AccessKey.of(newKey(), 'the benchmark'));
  const engine = await createEngineHost({ entry: new URL('./engine-child.ts', import.meta.url), model: pace });
  const journal = await Journal.open(join(folder, 'run'), { observer: metrics });
  const renderer = await loadRenderer(modelFolder);
  const proxy = await createProxy({ sampler: engine, renderer, journal, modelName: 'policy', metrics });
  let sessions: OpenSession[] = [];
  let count = 0;
  return {
    one: async () => {
      const settings = { temperature: 1, maxTokensPerTurn: 1024, seed: BigInt(count), trainable: true };
      const session = await proxy.sessions.open(rolloutId(groupId('bench', 0), count++), settings);
      sessions.push(session);
      return { baseUrl: session.baseUrl, apiKey: session.apiKey };
    },
    closeAll: async () => {
      await Promise.all(sessions.map((session) => session.close()));
      sessions = [];
    },
  };
}

async function naive(): Promise<Opener> {
  const server = naiveRelay(upstream, join(folder, 'naive.jsonl'));
  await listen(server, '127.0.0.1', 0);
  const address = { baseUrl: `${originOf(server, '127.0.0.1')}/v1`, apiKey: 'none' };
  return { one: () => Promise.resolve(address), closeAll: () => Promise.resolve() };
}
