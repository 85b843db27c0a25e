import { Command } from 'commander';
import { makeSeedlingModel } from '../../run/seedling/make.ts';
import { collect, wholeNumber } from '../options.ts';

export function seedlingCommand(): Command {
  return new Command('seedling')
    .description('makes models/seedling from random weights: tokenizer, demonstrations, supervised training')
    .option('--out <dir>', 'folder to write', 'models/seedling')
    .option('--seed <n>', 'seed of weights and demonstrations', wholeNumber, 0)
    .option('--set <key=value>', 'overrides one setting of the recipe; may be repeated', collect, [])
    .action(async (options: { readonly out: string; readonly seed: number; readonly set: readonly string[] }) => {
      await makeSeedlingModel(options, (line) => process.stdout.write(`${line}\n`));
    });
}
