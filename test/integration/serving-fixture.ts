/** Servers of the command line: waits until they listen, ends them as Ctrl-C does. */
import type { Ended, Started } from './run-fixture.ts';

export async function readyLineOf(started: Started): Promise<string> {
  const failed = started.ended.then(({ stderr }) => {
    throw new Error(`it ended before it listened: ${stderr}`);
  });
  failed.catch(() => undefined);
  const line = (async () => {
    while (!started.stdout().includes('\n')) await new Promise((resolve) => setTimeout(resolve, 20));
    return started.stdout();
  })();
  return Promise.race([line, failed]);
}

/** `http://127.0.0.1:4123/v1` */
export async function baseUrlOf(started: Started): Promise<string> {
  return /listening: (\S+)/.exec(await readyLineOf(started))?.[1] as string;
}

/** To its whole process group, as a terminal does. */
export function interrupt(started: Started): Promise<Ended> {
  process.kill(-(started.child.pid as number), 'SIGINT');
  return started.ended;
}
