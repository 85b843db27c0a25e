import { Command } from 'commander';
import { type ImportOptions, importFiles } from '../../run/import.ts';

export function importCommand(): Command {
  return new Command('import')
    .description('conversations for supervised training, from chat JSONL (OpenAI form) or ATIF, into one file')
    .argument('<files...>', '.jsonl and .json files, or folders of them')
    .requiredOption('--out <file>', 'a .jsonl file')
    .option('--model <folder>', "also render them with this model's chat template and count its tokens")
    .action(async (files: string[], options: ImportOptions) => {
      process.stdout.write(`${await importFiles(files, options)}\n`);
    });
}
