import { Command } from 'commander';
import { EspalierError } from '../../core/errors.ts';
import { viewFor } from '../../report/terminal.ts';
import { loadConfig } from '../../run/config-file.ts';
import { createRun } from '../../run/create-run.ts';
import { RunDirectory } from '../../run/directory.ts';
import { train } from '../../run/train.ts';
import { collect, wholeNumber } from '../options.ts';

export function trainCommand(): Command {
  return new Command('train')
    .description('runs the whole loop: rollouts through the proxy, grading, training, new weights')
    .argument('[config]', 'a configuration file', 'espalier.config.ts')
    .option('--run <dir>', 'run directory (default: runs/NAME, then runs/NAME-2, ...)')
    .option('--resume', 'continue the run in --run as if it had never stopped', false)
    .option('--seed <n>', 'seed of everything that is drawn', wholeNumber)
    .option('--set <key=value>', 'overrides one setting, e.g. learn.turnPrice=0.1; may be repeated', collect, [])
    .action(async (file: string, options: TrainOptions) => {
      const directory = options.resume
        ? RunDirectory.open(resumeTarget(options))
        : await createRun(await loadConfig(file, settingsOf(options)), options.run ?? null);
      const ended = await train(directory, viewFor(process.stdout, process.env));
      if (!ended) process.exitCode = 130;
    });
}

interface TrainOptions {
  readonly run?: string;
  readonly resume: boolean;
  readonly seed?: number;
  readonly set: readonly string[];
}

function settingsOf(options: TrainOptions): string[] {
  return options.seed === undefined ? [...options.set] : [...options.set, `seed=${options.seed}`];
}

function resumeTarget(options: TrainOptions): string {
  if (settingsOf(options).length > 0) {
    throw new EspalierError('config', '--resume takes the settings of the run: leave --seed and --set out');
  }
  if (options.run === undefined) throw new EspalierError('config', '--resume needs --run DIR: the run to continue');
  return options.run;
}
