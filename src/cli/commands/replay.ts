import { Command } from 'commander';
import { replayRun } from '../../run/replay.ts';

export function replayCommand(): Command {
  return new Command('replay')
    .description("trains a run again from its directory alone and compares the final checkpoint's bytes")
    .argument('<run>', 'a run directory')
    .action(async (run: string) => {
      const result = await replayRun(run, (line) => process.stderr.write(`${line}\n`));
      process.stdout.write(`replay: ${result.equal ? 'byte-equal' : `differs (${result.difference})`}\n`);
      if (!result.equal) process.exitCode = 1;
    });
}
