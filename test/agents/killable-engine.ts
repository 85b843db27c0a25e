/** The scripted model as a process of its own, which is started again when it dies, as `espalier serve` does. */
import { writeFile } from 'node:fs/promises';
import { policyVersion } from '../../src/core/ids.ts';
import type { Sampler } from '../../src/engine/engine.ts';
import { createEngineHost } from '../../src/host/engine-host.ts';
import { revivingSampler } from '../../src/run/serving/reviving-sampler.ts';
import { tokenizer } from '../integration/proxy-fixture.ts';
import type { Strike } from './faulty-sampler.ts';
import type { ScriptFile } from './scripted-engine-child.ts';
import { repliesIn } from './scripted-task.ts';

export interface KillableEngine {
  readonly sampler: Sampler;
  /** Kills the process when so many conversations are in the middle of the reply that it holds back. */
  killWhenHeld(conversations: number): Strike;
  readonly restarts: number;
  close(): Promise<void>;
}

/** `file`: where the script is written for the process. It holds the reply after `holdAfter` others. */
export async function startKillable(
  file: string,
  script: ScriptFile['script'],
  holdAfter: number,
): Promise<KillableEngine> {
  const write = (holds: number | null): Promise<void> =>
    writeFile(file, JSON.stringify({ script, holdAfter: holds } satisfies ScriptFile));
  await write(holdAfter);
  const host = await createEngineHost({
    entry: new URL('./scripted-engine-child.ts', import.meta.url),
    model: file,
    version: policyVersion(0),
  });
  let restarts = 0;
  const sampler = revivingSampler(host, async () => {
    restarts++;
    await host.restart(file, policyVersion(0), 'fresh');
  });
  return {
    sampler,
    killWhenHeld: (conversations) => {
      let held = 0;
      return async function* (events, { ids }) {
        let holds = repliesIn(tokenizer.decode(ids)) >= holdAfter;
        for await (const event of events) {
          yield event;
          if (holds && ++held === conversations) {
            await write(null);
            process.kill(host.processId as number, 'SIGKILL');
          }
          holds = false;
        }
      };
    },
    get restarts() {
      return restarts;
    },
    close: () => host.close(),
  };
}
