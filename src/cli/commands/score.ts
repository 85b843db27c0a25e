import { Command } from 'commander';
import { scoreFile } from '../../run/score.ts';

export function scoreCommand(): Command {
  return new Command('score')
    .description('log-probability of each token after the first: flat, cold, batch 1, one thread')
    .argument('<model>', 'a Hugging Face folder')
    .requiredOption('--ids <file>', 'JSON: an array of token ids')
    .option('--logits', 'also the logits, [length][vocabulary]', false)
    .action(async (model: string, options: { readonly ids: string; readonly logits: boolean }) => {
      process.stdout.write(`${JSON.stringify(await scoreFile(model, options.ids, options.logits))}\n`);
    });
}
