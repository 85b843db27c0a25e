import { Command } from 'commander';
import { evaluateModel } from '../../run/evaluate-model.ts';
import { share, wholeNumber } from '../options.ts';

export function evalCommand(): Command {
  return new Command('eval')
    .description('pass rates of a model folder on tasks, with 95% intervals and pass@k')
    .argument('<model>', 'a Hugging Face folder, or a run directory (its newest checkpoint)')
    .requiredOption('--tasks <spec>', 'taskset and count, e.g. seedlings/unseen:300')
    .option('--rollouts <n>', 'rollouts a task', wholeNumber, 1)
    .option('--greedy', 'temperature 0 instead of 1', false)
    .option('--top-k <n>', 'draw from the n likeliest tokens (0: from every one)', wholeNumber, 0)
    .option('--top-p <p>', 'draw from the fewest tokens that hold this share of the probability', share, 1)
    .option('--min-p <p>', 'draw from tokens that are at least so probable as p times the likeliest', share, 0)
    .option('--seed <n>', 'seed of the sampling', wholeNumber, 0)
    .option('--json', 'one JSON object instead of lines', false)
    .action(async (model: string, { topK, topP, minP, ...options }: EvalOptions) => {
      const result = await evaluateModel({ model, ...options, truncation: { topK, topP, minP } });
      process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : `${result.text}\n`);
    });
}

interface EvalOptions {
  readonly tasks: string;
  readonly rollouts: number;
  readonly greedy: boolean;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly seed: number;
  readonly json: boolean;
}
