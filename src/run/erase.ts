/**
 * `espalier erase`: what a run recorded of a session, or of all, is gone from its directory.
 *
 * Covered: segments, index, report. Not covered, and said: copies that were exported, weights that learned from it, and
 * what file systems, snapshots and backups keep of files that are deleted.
 */
import { existsSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EspalierError } from '../core/errors.ts';
import { parseRolloutId } from '../core/ids.ts';
import { sessionIdOf } from '../proxy/sessions.ts';
import { whole } from '../report/format.ts';
import { storeDirectory } from '../trajectory/journal.ts';
import type { RecordIndex } from '../trajectory/record-index.ts';
import { removeRecords } from '../trajectory/removal.ts';
import { exportsOf } from './export/export-notes.ts';

export interface EraseOptions {
  /** A rollout, all below a path, or a session's id as in its URL; without it everything that agents and models said. */
  readonly session?: string;
}

/** Gives lines for people. Throws EspalierError('config') when there is no such session, ('store') when it is in use. */
export async function eraseRun(path: string, options: EraseOptions): Promise<string> {
  const folder = resolve(path);
  const directory = storeDirectory(folder);
  if (!existsSync(directory)) throw new EspalierError('config', `${path} holds no record: there is nothing to erase`);
  let rollouts: readonly string[] = [];
  let turns = 0;
  const removal = await removeRecords(directory, 'erased', async (index) => {
    rollouts = await sessionsOf(index, path, options.session);
    const leaving = await index.leaving(rollouts, options.session === undefined);
    turns = leaving.turns;
    return leaving;
  });
  if (removal === null) return `${path} holds nothing of ${options.session ?? 'any session'}`;
  const report = join(folder, 'report.html');
  const hadReport = existsSync(report);
  rmSync(report, { force: true });
  return [
    `erased ${whole(turns)} turns of ${whole(rollouts.length)} sessions: ${whole(removal.frames)} records, ` +
      `${whole(removal.bytes)} bytes, from ${whole(removal.segments)} segments`,
    ...(hadReport ? ['report.html is gone, too: it may quote them'] : []),
    ...exportsOf(folder, rollouts).map(({ out, format, at }) => `not reached: ${out} (${format}, exported ${at})`),
    ...(existsSync(join(folder, 'checkpoints'))
      ? ['not reached: weights that learned from them, in checkpoints/']
      : []),
  ].join('\n');
}

async function sessionsOf(index: RecordIndex, path: string, given: string | undefined): Promise<readonly string[]> {
  if (given === undefined) return index.recorded(null);
  const below = await index.recorded(given.replace(/\/+$/, ''));
  if (below.length > 0) return below;
  const all = await index.recorded(null);
  const named = all.filter((rollout) => sessionIdOf(parseRolloutId(rollout)) === given);
  if (named.length > 0) return named;
  const way = all[0] === undefined ? 'it has none' : `ids look like ${all[0]}`;
  throw new EspalierError('config', `--session ${given}: no such session in ${path}; ${way}`);
}
