/**
 * `espalier prune`: retention of a record, by age and by size.
 *
 * Whole sealed segments are chosen, oldest first; a rollout leaves when all its records lie in them. What stays of a chosen
 * segment is what others need: messages of rollouts that stay, manifests, versions, and, unless told otherwise, whatever
 * a replay or a resumed run would take from it.
 *
 * A segment's age is the time of its last append, by the file system's word.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EspalierError } from '../core/errors.ts';
import { whole } from '../report/format.ts';
import { diskFiles } from '../store/disk-files.ts';
import { listSegments } from '../store/segment.ts';
import { storeDirectory } from '../trajectory/journal.ts';
import type { SegmentKey } from '../trajectory/record-index/removal-queries.ts';
import { removeRecords } from '../trajectory/removal.ts';
import { RunDirectory } from './directory.ts';
import { latestCheckpoint, servingConfig } from './serving/folder.ts';

export interface PruneOptions {
  /** Segments that nothing was appended to for so long. */
  readonly olderThanMs?: number;
  /** What the segments may have together; the oldest ones go first. */
  readonly keepBytes?: number;
  /** Also what recorded batches learned from: they cannot be replayed then. */
  readonly withBatches: boolean;
  /** Say what would go, and change nothing. */
  readonly dryRun: boolean;
}

/** Gives lines for people. Throws EspalierError('config'), and ('store') when the run is under way. */
export async function pruneRun(path: string, options: PruneOptions, nowMs = Date.now()): Promise<string> {
  if (options.olderThanMs === undefined && options.keepBytes === undefined) {
    throw new EspalierError('config', 'nothing says what may go: give --older-than, --keep-bytes, or both');
  }
  const folder = resolve(path);
  const directory = storeDirectory(folder);
  if (!existsSync(directory)) throw new EspalierError('config', `${path} holds no record: there is nothing to prune`);
  const pinnedFrom = options.withBatches ? null : firstPinnedStep(path, folder);
  let [turns, rollouts, pinned, segments] = [0, 0, 0, 0];
  const removal = await removeRecords(directory, 'retention', async (index) => {
    const chosen = await chosenSegments(directory, options, nowMs);
    const outlived = await index.outlived(chosen, pinnedFrom);
    const leaving = await index.leaving(outlived.rollouts, false);
    [turns, rollouts, pinned, segments] = [leaving.turns, leaving.rollouts, outlived.pinned, chosen.length];
    return options.dryRun || rollouts === 0 ? null : leaving;
  });
  const what = `${whole(turns)} turns of ${whole(rollouts)} rollouts, from ${whole(segments)} segments`;
  return [
    removal === null
      ? `${options.dryRun ? 'would remove' : 'nothing to remove:'} ${what}`
      : `removed ${what}: ${whole(removal.frames)} records, ${whole(removal.bytes)} bytes`,
    ...(pinned === 0
      ? []
      : [`kept ${whole(pinned)} rollouts that recorded batches need: --with-batches removes them, too`]),
  ].join('\n');
}

/** Sealed ones only: the last segment of a chain is appended to. */
async function chosenSegments(directory: string, options: PruneOptions, nowMs: number): Promise<SegmentKey[]> {
  const all = await listSegments(diskFiles, directory);
  const facts = await Promise.all(
    all.map(async ({ path, writer, firstSequence }, i) => {
      const { sizeBytes, modifiedMs } = await diskFiles.stat(path);
      return { key: [writer, firstSequence] as const, sizeBytes, modifiedMs, sealed: all[i + 1]?.writer === writer };
    }),
  );
  let bytes = facts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const chosen: SegmentKey[] = [];
  const oldestFirst = facts.filter(({ sealed }) => sealed).sort((a, b) => a.modifiedMs - b.modifiedMs);
  for (const { key, sizeBytes, modifiedMs } of oldestFirst) {
    const isOld = options.olderThanMs !== undefined && nowMs - modifiedMs > options.olderThanMs;
    const isTooMuch = options.keepBytes !== undefined && bytes > options.keepBytes;
    if (!isOld && !isTooMuch) continue;
    chosen.push(key);
    bytes -= sizeBytes;
  }
  return chosen;
}

/**
 * Batches from this step on may be trained again. A training run is replayed from its first weights; a server that learns
 * goes on from its newest checkpoint, and takes nothing of the record before it.
 */
function firstPinnedStep(path: string, folder: string): number {
  const serving = servingConfig(folder);
  if (serving !== null) return latestCheckpoint(folder)?.version ?? 0;
  if (existsSync(join(folder, 'config.json'))) {
    RunDirectory.open(path);
    if (!existsSync(join(folder, 'summary.json'))) {
      throw new EspalierError(
        'config',
        `${path} is not finished, and --resume needs its record: let it end, or give --with-batches`,
      );
    }
  }
  return 0;
}
