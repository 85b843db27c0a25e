import { Command } from 'commander';
import { type InspectOptions, inspectRun } from '../../run/inspect.ts';

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('what a run recorded: turns, fidelity, outcomes; or one rollout, its breaks, its token trie')
    .argument('<run>', 'a run directory')
    .option('--rollout <id>', 'turn by turn, every branch; e.g. batch/7/group/5/rollout/2')
    .option('--breaks', 'where a turn did not continue the one before it, why, and what it cost', false)
    .option('--trie <rollout>', 'draws the token trie of a rollout')
    .option('--json', 'one JSON object instead of text', false)
    .action(async (run: string, options: InspectOptions) => {
      process.stdout.write(`${await inspectRun(run, options)}\n`);
    });
}
