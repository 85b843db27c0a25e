/** A run's record, opened for reading: what `inspect` and `export` look at. Takes no lock, changes nothing but an index. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EspalierError } from '../core/errors.ts';
import { storeDirectory } from '../trajectory/journal.ts';
import { RecordIndex } from '../trajectory/record-index.ts';
import type { RunConfig } from './config.ts';
import { RunDirectory } from './directory.ts';
import { checkpointsOf, type ServingConfig, servingConfig } from './serving/folder.ts';

export interface RecordedRun extends AsyncDisposable {
  /** As the user gave it. */
  readonly path: string;
  readonly source: RecordSource;
  readonly index: RecordIndex;
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
  const index = await RecordIndex.open(storeDirectory(folder));
  const tokenizer = tokenizerOf(folder, source);
  return { path, source, index, tokenizer, [Symbol.asyncDispose]: () => index.close() };
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

export async function noSuchRollout(run: RecordedRun, option: string, given: string): Promise<EspalierError> {
  const { value: some } = await run.index.rollouts(null).next();
  const way = some === undefined ? 'the run has none yet' : `ids look like ${some.rollout}`;
  return new EspalierError('config', `${option} ${given}: no such rollout in ${run.path}; ${way}`);
}

/**
 * What an index is asked for the rollout of that id and those below it: `batch/7` is all of batch 7. Without an id, for all
 * that have a turn.
 */
export async function rolloutsUnder(run: RecordedRun, option: string, id: string | undefined): Promise<string | null> {
  if (id === undefined) return null;
  const path = id.replace(/\/+$/, '');
  const { rollouts } = await run.index.countRollouts(path);
  if (rollouts === 0) throw await noSuchRollout(run, option, id);
  return path;
}
