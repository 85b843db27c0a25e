import { Command, Option } from 'commander';
import { type Bench, runBench } from '../../bench/bench.ts';
import { decodeBench } from '../../bench/benches/decode.ts';
import { kernelsBench } from '../../bench/benches/kernels.ts';
import { llamaBench } from '../../bench/benches/llama.ts';
import { memoryBench } from '../../bench/benches/memory.ts';
import { torchBench } from '../../bench/benches/torch.ts';
import { trainBench } from '../../bench/benches/train.ts';
import { trieBench } from '../../bench/benches/trie.ts';
import { reportJson, reportMarkdown, reportText } from '../../bench/report.ts';
import { wholeNumber } from '../options.ts';

interface CommonOptions {
  readonly quick: boolean;
  readonly threads: number;
  readonly json: boolean;
  readonly markdown: boolean;
}

export function benchCommand(): Command {
  const large = new Option('--large', 'larger models too').default(false);
  return new Command('bench')
    .description('how fast the engine is on this machine, and against what (docs/performance.md)')
    .addCommand(commandOf(kernelsBench, 'each kernel, as a share of the peak that the processor reaches'))
    .addCommand(commandOf(trainBench, 'whole optimizer steps at several model sizes').addOption(large))
    .addCommand(
      commandOf(trieBench, 'the trie against flat training in the same engine')
        .option('--model <size>', '0.5M, 1M, 5M, 30M or 135M parameters', '0.5M')
        .option('--run <dir>', 'also on groups that this run recorded')
        .option('--full', 'every context with every span length, and more rounds', false),
    )
    .addCommand(commandOf(decodeBench, 'sampled tokens a second, batch 1 and 16').addOption(large))
    .addCommand(commandOf(memoryBench, 'peak memory of a step: many leaves, a long context'))
    .addCommand(
      commandOf(torchBench, 'optimizer steps against eager PyTorch (bench/torch/README.md)')
        .option('--python <path>', 'a Python with bench/torch/requirements.txt installed', 'python3')
        .addOption(large),
    )
    .addCommand(
      commandOf(llamaBench, 'decoding against llama.cpp (bench/llama.cpp/README.md)').option(
        '--modules <folder>',
        'where node-llama-cpp is installed',
        'bench/llama.cpp',
      ),
    );
}

function commandOf<Options>(bench: Bench<Options>, description: string): Command {
  return new Command(bench.name)
    .description(description)
    .option('--threads <n>', 'threads of the engine', wholeNumber, 2)
    .option('--quick', 'a few seconds: shows that it works, the figures say nothing', false)
    .addOption(new Option('--json', 'one JSON object instead of tables').default(false))
    .addOption(new Option('--markdown', 'tables as docs/performance.md has them').default(false).conflicts('json'))
    .action(async (options: Options & CommonOptions) => {
      const { quick, threads, json, markdown } = options;
      const tell = (line: string): void => void process.stderr.write(`${bench.name}: ${line}\n`);
      const given = process.argv.slice(3).filter((argument) => argument !== '--json' && argument !== '--markdown');
      const command = ['npm run espalier -- bench', ...given].join(' ');
      const report = await runBench(bench, options, { quick, threads, tell }, command);
      const text = json ? JSON.stringify(reportJson(report)) : markdown ? reportMarkdown(report) : reportText(report);
      process.stdout.write(`${text}\n`);
    });
}
