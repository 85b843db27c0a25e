import { Command } from 'commander';
import { evaluateModel } from '../../run/evaluate-model.ts';
import { wholeNumber } from '../options.ts';

export function evalCommand(): Command {
  return new Command('eval')
    .description('pass rates of a model folder on tasks, with 95% intervals and pass@k')
    .argument('<model>', 'a Hugging Face folder, or a run directory (its newest checkpoint)')
    .requiredOption('--tasks <spec>', 'taskset and count, e.g. seedlings/unseen:300')
    .option('--rollouts <n>', 'rollouts a task', wholeNumber, 1)
    .option('--greedy', 'temperature 0 instead of 1', false)
    .option('--seed <n>', 'seed of the sampling', wholeNumber, 0)
    .option('--json', 'one JSON object instead of lines', false)
    .action(async (model: string, options: EvalOptions) => {
      const result = await evaluateModel({ model, ...options });
      process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : `${result.text}\n`);
    });
}

interface EvalOptions {
  readonly tasks: string;
  readonly rollouts: number;
  readonly greedy: boolean;
  readonly seed: number;
  readonly json: boolean;
}
