import { Command } from 'commander';
import { inspectRun } from '../../run/inspect.ts';

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('what a run recorded: turns, fidelity, outcomes; or one rollout, turn by turn')
    .argument('<run>', 'a run directory')
    .option('--rollout <id>', 'e.g. batch/7/group/5/rollout/2')
    .option('--json', 'one JSON object instead of a table', false)
    .action(async (run: string, options: { readonly rollout?: string; readonly json: boolean }) => {
      process.stdout.write(`${await inspectRun(run, options)}\n`);
    });
}
