import { Command } from 'commander';
import { type EraseOptions, eraseRun } from '../../run/erase.ts';

export function eraseCommand(): Command {
  return new Command('erase')
    .description('removes what a run recorded of a session, or of all of them, for good')
    .argument('<run>', 'a run directory that nobody writes')
    .option('--session <id>', 'only this rollout, all below a path, or a session by the id in its URL')
    .action(async (run: string, options: EraseOptions) => {
      process.stdout.write(`${await eraseRun(run, options)}\n`);
    });
}
