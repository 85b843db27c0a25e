/** A run's record, opened for reading: what `inspect` and `export` look at. Takes no lock, changes nothing. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EspalierError } from '../core/errors.ts';
import type { RolloutId } from '../core/ids.ts';
import { storeDirectory } from '../trajectory/journal.ts';
import { type RunIndex, readRun } from '../trajectory/run-index.ts';
import type { RunConfig } from './config.ts';
import { RunDirectory } from './directory.ts';
import { checkpointsOf, type ServingConfig, servingConfig } from './serving/folder.ts';

export interface RecordedRun {
  /** As the user gave it. */
  readonly path: string;
  readonly source: RecordSource;
  /** With the bodies of messages. */
  readonly index: RunIndex;
  /** A folder with the tokenizer that the record's ids belong to, or null. */
  readonly tokenizer: string | null;
}

/** What made the record: a training run, `serve`, `proxy`, or, where a `store/` lies alone, something unknown. */
export type RecordSource =
  | { readonly kind: 'run'; readonly config: RunConfig }
  | ServingConfig
  | { readonly kind: 'unknown' };

/** Throws EspalierError('config') when it is no run directory, EspalierError('store') when the record is damaged. */
export async function openRecordedRun(path: string): Promise<RecordedRun> {
  const folder = resolve(path);
  const source = sourceOf(path);
  return { path, source, index: await readRun(storeDirectory(folder)), tokenizer: tokenizerOf(folder, source) };
}

function sourceOf(path: string): RecordSource {
  const folder = resolve(path);
  if (!existsSync(join(folder, 'config.json')) && existsSync(storeDirectory(folder))) return { kind: 'unknown' };
  return servingConfig(folder) ?? { kind: 'run', config: RunDirectory.open(path).config };
}

/** All checkpoints of a run have one tokenizer; what was served has its model's, if that lies where it lay. */
function tokenizerOf(folder: string, source: RecordSource): string | null {
  const checkpoints = join(folder, 'checkpoints');
  const models = [
    ...checkpointsOf(folder).map((version) => join(checkpoints, String(version))),
    ...(source.kind === 'serve' ? [resolve(source.model)] : []),
  ];
  return models.find((model) => existsSync(join(model, 'tokenizer.json'))) ?? null;
}

export function noSuchRollout(run: RecordedRun, option: string, given: string): EspalierError {
  const some = run.index.rollouts()[0];
  const way = some === undefined ? 'the run has none yet' : `ids look like ${some}`;
  return new EspalierError('config', `${option} ${given}: no such rollout in ${run.path}; ${way}`);
}

/** The rollout of that id, and those below it: `batch/7` is all of batch 7. Without an id, all that have a turn. */
export function rolloutsUnder(run: RecordedRun, option: string, id: string | undefined): RolloutId[] {
  const all = run.index.rollouts();
  if (id === undefined) return all;
  const path = id.replace(/\/+$/, '');
  const found = all.filter((rollout) => rollout === path || rollout.startsWith(`${path}/`));
  if (found.length === 0) throw noSuchRollout(run, option, id);
  return found;
}
