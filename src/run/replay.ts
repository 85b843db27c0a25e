/**
 * `espalier replay`: the run's training once more, from its directory alone.
 *
 * Covered: every optimizer step, from the first weights, the manifests and the recorded turns, to the bytes of every
 * checkpoint. Not covered: sampling and grading, whose results are in the record.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EspalierError, messageOf } from '../core/errors.ts';
import { createEngineHost } from '../host/engine-host.ts';
import { storeDirectory } from '../trajectory/journal.ts';
import { readRun } from '../trajectory/run-index.ts';
import { stepsOf } from './batch.ts';
import { RunDirectory } from './directory.ts';
import { RecordView } from './ledger.ts';

export interface ReplayResult {
  readonly equal: boolean;
  /** The first checkpoint, file and byte that differ, or empty. */
  readonly difference: string;
  readonly steps: number;
}

const comparedFiles = ['model.safetensors', 'optimizer.safetensors'] as const;

export async function replayRun(path: string, say: (line: string) => void): Promise<ReplayResult> {
  const directory = RunDirectory.open(path);
  const checkpoints = directory.checkpoints();
  const last = checkpoints.at(-1);
  if (last === undefined || last === 0) {
    throw new EspalierError('checkpoint', `${path} has no checkpoint of a trained step to compare with: train further`);
  }
  const record = new RecordView(await readRun(storeDirectory(directory.path), { bodies: false }));
  const scratch = await mkdtemp(join(tmpdir(), 'espalier-replay-'));
  const { threads } = directory.config.engine;
  const engine = await createEngineHost({ model: directory.checkpoint(0), version: 0, threads });
  try {
    let version = 0;
    for (const manifest of record.index.manifests.filter(({ step }) => step < last)) {
      for (const step of stepsOf(manifest, record, directory.config)) {
        version = (await engine.train(step.request)).version;
      }
      if (!checkpoints.includes(version) || version === 0) continue;
      await engine.save(join(scratch, String(version)));
      const difference = await firstDifference(join(scratch, String(version)), directory.checkpoint(version));
      say(`checkpoints/${version}: ${difference ?? 'byte-equal'}`);
      if (difference !== null)
        return { equal: false, difference: `checkpoints/${version}/${difference}`, steps: version };
    }
    return version === last
      ? { equal: true, difference: '', steps: version }
      : { equal: false, difference: `the record ends at step ${version}, checkpoints at ${last}`, steps: version };
  } finally {
    await engine.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

/** e.g. `model.safetensors from byte 1032 on`, or null. */
async function firstDifference(replayed: string, recorded: string): Promise<string | null> {
  for (const name of comparedFiles) {
    const ours = await readFile(join(replayed, name));
    const theirs = await readFile(join(recorded, name)).catch((cause: unknown) => {
      throw new EspalierError('checkpoint', `replay compares with ${join(recorded, name)}: ${messageOf(cause)}`, {
        cause,
      });
    });
    if (ours.equals(theirs)) continue;
    const at = ours.findIndex((byte, index) => byte !== theirs[index]);
    return `${name} from byte ${at < 0 ? ours.length : at} on`;
  }
  return null;
}
