/**
 * The real proxy in a process of its own, for hostile clients: a crash, a blocked event loop and memory that is not given
 * back can be seen from outside. Only the policy is scripted.
 *
 * Spoken to over the channel of `fork`: `start` opens a proxy with one session, `stop` closes it and tells what is on
 * disk.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import { groupId, rolloutId } from '../../src/core/ids.ts';
import { AccessKey, newKey } from '../../src/proxy/access.ts';
import { Metrics } from '../../src/proxy/metrics.ts';
import { createProxy, type ProxyServer } from '../../src/proxy/proxy.ts';
import { SessionsApi } from '../../src/proxy/sessions-api.ts';
import { readFrames } from '../../src/store/reader.ts';
import { Journal, storeDirectory } from '../../src/trajectory/journal.ts';
import { decodeRecord } from '../../src/trajectory/records.ts';
import { LetterSampler, removeDirectory, renderer, sessionOptions } from '../integration/proxy-fixture.ts';
import type { Target } from './request-cases.ts';

/** Milliseconds that a request may take to send its headers, and all of itself. */
export interface StartOptions {
  readonly headersMs: number;
  readonly requestMs: number;
}
export type Command =
  | ({ readonly type: 'start' } & StartOptions)
  | { readonly type: 'stop' }
  | { readonly type: 'cpu' };

export interface Stopped {
  readonly type: 'stopped';
  /** Turns that a reader finds on disk. */
  readonly recordedTurns: number;
  /** Failures that the proxy took for its own: there should be none. */
  readonly failures: readonly string[];
  /** After a collection of garbage, when the proxy is closed: bytes. */
  readonly heapUsed: number;
  readonly rss: number;
}
export type Reply =
  | { readonly type: 'started'; readonly target: Target }
  | Stopped
  /** Milliseconds of processor time so far. */
  | { readonly type: 'cpu'; readonly ms: number };

interface Running {
  readonly directory: string;
  readonly journal: Journal;
  readonly proxy: ProxyServer;
  readonly failures: string[];
}
let running: Running | null = null;

async function start(slowRequest: StartOptions): Promise<Reply> {
  const failures: string[] = [];
  const adminKey = newKey();
  const key = AccessKey.of(adminKey, 'the fuzzer');
  const directory = await mkdtemp(join(tmpdir(), 'espalier-fuzz-'));
  const journal = await Journal.open(directory);
  const proxy: ProxyServer = await createProxy({
    sampler: new LetterSampler(script),
    renderer: renderer(),
    journal,
    modelName: 'seedling',
    metrics: new Metrics(key),
    bodyLimitBytes: 4 << 20,
    slowRequest,
    onFailure: (failure) => failures.push(failure.message),
    sessionsApi: new SessionsApi({
      adminKey: key,
      journal,
      clock: systemClock,
      modelName: 'seedling',
      maxOpen: 50,
      open: (rollout) => proxy.sessions.open(rollout, sessionOptions),
    }),
  });
  running = { directory, journal, proxy, failures };
  const session = await proxy.sessions.open(rolloutId(groupId('fuzz', 0), 0), sessionOptions);
  const port = Number(new URL(proxy.url).port);
  return { type: 'started', target: { port, session: session.id, apiKey: session.apiKey, adminKey } };
}

/** Thinking, calls, broken calls and text of every kind, by the number of replies in the prompt. */
function script(turn: number): string {
  return (
    [
      'I am well.',
      '<think>\nHm.\n</think>\n\nI read.\n<tool_call>{"name": "read", "arguments": {"path": "a.js"}}</tool_call>',
      '<tool_call>{"name": "patch", "arguments": {"input": broken</tool_call>',
      'Done é 漢 😀.',
    ][turn] ?? 'More.'
  );
}

async function stop(): Promise<Reply> {
  const { directory, journal, proxy, failures } = running as Running;
  running = null;
  await proxy.close();
  await journal.close();
  let recordedTurns = 0;
  for await (const frame of readFrames(storeDirectory(directory))) {
    if (decodeRecord(frame.kind, frame.payload).type === 'turn') recordedTurns++;
  }
  await removeDirectory(directory);
  global.gc?.();
  const { heapUsed, rss } = process.memoryUsage();
  return { type: 'stopped', recordedTurns, failures, heapUsed, rss };
}

async function cpu(): Promise<Reply> {
  const { user, system } = process.cpuUsage();
  return { type: 'cpu', ms: (user + system) / 1000 };
}

process.on('message', (command: Command) => {
  const reply = command.type === 'start' ? start(command) : command.type === 'stop' ? stop() : cpu();
  // What goes wrong here ends the process, which the parent sees.
  void reply.then((it) => process.send?.(it satisfies Reply));
});
process.on('disconnect', () => process.exit());
