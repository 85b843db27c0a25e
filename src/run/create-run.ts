/**
 * A new run: what can be wrong with its parts is found before its directory is made, so that a start that failed leaves
 * nothing behind and can be tried again under the same name.
 */
import { EspalierError } from '../core/errors.ts';
import { readCheckpoint } from '../engine/checkpoint.ts';
import { loadRenderer } from '../tokens/load.ts';
import type { RunConfig } from './config.ts';
import { RunDirectory } from './directory.ts';
import { modelFolder } from './evaluate-model.ts';
import { loadReward } from './reward.ts';
import { tasksetOf } from './tasksets.ts';

/** `where` as RunDirectory.create takes it. Throws EspalierError('config' | 'checkpoint' | 'store'), one line each. */
export async function createRun(config: RunConfig, where: string | null): Promise<RunDirectory> {
  tasksetOf(config.tasks);
  for (const name of config.evaluation.sets) checkHeldOut(name, config.evaluation.tasks);
  const model = modelFolder(config.model);
  await readCheckpoint(model);
  await loadRenderer(model);
  await loadReward(config);
  return RunDirectory.create(config, where);
}

function checkHeldOut(name: string, tasks: number): void {
  const { size } = tasksetOf(name);
  if (size !== null && tasks > size) {
    throw new EspalierError('config', `evaluation.tasks: ${tasks}, but ${name} has ${size}: ask for fewer`);
  }
}
