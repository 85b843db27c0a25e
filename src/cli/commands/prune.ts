import { Command } from 'commander';
import { type PruneOptions, pruneRun } from '../../run/prune.ts';
import { byteSize, duration } from '../options.ts';

interface PruneFlags extends Omit<PruneOptions, 'olderThanMs'> {
  readonly olderThan?: number;
}

export function pruneCommand(): Command {
  return new Command('prune')
    .description('removes the oldest part of a record, by age or size; what a replay needs stays')
    .argument('<run>', 'a run directory that nobody writes')
    .option('--older-than <time>', 'segments that were last written so long ago, e.g. 12h or 30d', duration)
    .option('--keep-bytes <size>', 'the newest part of that size stays, e.g. 500MiB or 10GiB', byteSize)
    .option('--with-batches', 'also what recorded batches learned from, which ends replay', false)
    .option('--dry-run', 'say what would go, and remove nothing', false)
    .action(async (run: string, { olderThan, ...options }: PruneFlags) => {
      const limits = { ...options, ...(olderThan !== undefined && { olderThanMs: olderThan }) };
      process.stdout.write(`${await pruneRun(run, limits)}\n`);
    });
}
