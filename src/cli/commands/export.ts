import { Command, Option } from 'commander';
import { type ExportOptions, exportRun } from '../../run/export.ts';

export function exportCommand(): Command {
  return new Command('export')
    .description("a run's training samples (Parquet or JSON lines) or trajectories (ATIF v1.7)")
    .argument('<run>', 'a run directory')
    .addOption(new Option('--format <format>', 'what to write').choices(['samples', 'atif']).makeOptionMandatory())
    .requiredOption('--out <path>', 'samples: a .parquet or .jsonl file; atif: a new folder, or a .jsonl file')
    .addOption(new Option('--per <what>', 'a sample is a').choices(['trajectory', 'request']).default('trajectory'))
    .option('--rollout <path>', 'only this rollout, or all below, e.g. batch/7')
    .option('--redact', 'replace secrets and leave out the ids of what holds them, instead of stopping', false)
    .action(async (run: string, options: ExportOptions) => {
      process.stdout.write(`${await exportRun(run, options)}\n`);
    });
}
