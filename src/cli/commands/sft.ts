import { Command, Option } from 'commander';
import { superviseModel } from '../../run/supervise.ts';
import { collect, nonNegative, wholeNumber } from '../options.ts';

interface Given {
  readonly data: readonly string[];
  readonly out: string;
  readonly epochs: number;
  readonly perStep: number;
  readonly contextWeight?: number;
  readonly optimizer: 'muon' | 'adamw';
  readonly learningRate?: number;
  readonly muonLearningRate: number;
  readonly warmupSteps: number;
  readonly decayShare: number;
  readonly seed: number;
  readonly threads: number;
  readonly skipLong: boolean;
}

export function sftCommand(): Command {
  return new Command('sft')
    .description('supervised fine-tuning of a checkpoint on conversations, trained on as tries')
    .argument('<model>', 'a Hugging Face folder, or a run directory')
    .requiredOption('--data <file>', 'chat JSONL or ATIF, a file or a folder; may be repeated', collect, [])
    .requiredOption('--out <dir>', 'a new folder')
    .option('--epochs <n>', 'passes over the data, each in an order of its own', wholeNumber, 1)
    .option('--per-step <n>', 'conversations a step', wholeNumber, 16)
    .option('--context-weight <w>', "weight of tokens that are not the assistant's; default 0.3", nonNegative)
    .addOption(new Option('--optimizer <name>', 'of matrices').choices(['muon', 'adamw']).default('adamw'))
    .option('--learning-rate <r>', 'of AdamW; default 1e-4', nonNegative)
    .option('--muon-learning-rate <r>', 'of Muon', nonNegative, 0.002)
    .option('--warmup-steps <n>', 'rising linearly', wholeNumber, 10)
    .option('--decay-share <s>', 'share of the steps, the last ones, over which rates fall to 0', nonNegative, 0.3)
    .option('--seed <n>', 'of the order', wholeNumber, 0)
    .option('--threads <n>', 'of the engine', wholeNumber, 2)
    .option('--skip-long', 'leave out what the context cannot hold', false)
    .action(async (model: string, { optimizer, learningRate = 1e-4, ...given }: Given) => {
      const options = { ...given, model, matrices: optimizer, learningRate };
      await superviseModel(options, (line) => process.stdout.write(`${line}\n`));
    });
}
