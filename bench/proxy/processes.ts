/** The processes of the benchmark, started and asked by messages. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Address, Ask, Usage } from './target.ts';

export type TargetKind = 'ours' | 'naive';

export interface Target extends Disposable {
  open(count: number): Promise<readonly Address[]>;
  closeSessions(): Promise<void>;
  /** `collect`: after a garbage collection. */
  usage(collect?: boolean): Promise<Usage>;
}

export interface UpstreamServer extends Disposable {
  readonly origin: string;
}

export async function startUpstream(): Promise<UpstreamServer> {
  const child = fork(join(import.meta.dirname, 'upstream.ts'));
  const [origin] = (await once(child, 'message')) as [string];
  return { origin, [Symbol.dispose]: () => void child.kill() };
}

/** `flags` are Node's, e.g. `--cpu-prof`. */
export async function startTarget(
  kind: TargetKind,
  folder: string,
  pace: number,
  upstream: string,
  flags: readonly string[] = [],
): Promise<Target> {
  const child = fork(join(import.meta.dirname, 'target.ts'), [kind, folder, String(pace), upstream], {
    execArgv: ['--expose-gc', '--disable-warning=ExperimentalWarning', ...flags],
  });
  await reply(child);
  const ask = (message: Ask): Promise<unknown> => {
    child.send(message);
    return reply(child);
  };
  return {
    open: async (count) => (await ask({ ask: 'open', count })) as readonly Address[],
    closeSessions: async () => void (await ask({ ask: 'close' })),
    usage: async (collect = false) => (await ask({ ask: 'usage', collect })) as Usage,
    // It ends by itself, so that a profile is written.
    [Symbol.dispose]: () => child.disconnect(),
  };
}

async function reply(child: ChildProcess): Promise<unknown> {
  const answered = new AbortController();
  const { signal } = answered;
  try {
    const [answer] = await Promise.race([
      once(child, 'message', { signal }),
      once(child, 'exit', { signal }).then(([code]) =>
        Promise.reject(new Error(`a process of the benchmark ended with ${code}`)),
      ),
    ]);
    return answer;
  } finally {
    answered.abort();
  }
}
