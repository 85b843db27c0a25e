import { Command, InvalidArgumentError, Option } from 'commander';
import { EspalierError } from '../../core/errors.ts';
import { problemOfTruncation } from '../../core/truncation.ts';
import type { UpstreamKind } from '../../engine/engines/upstream.ts';
import type { EngineServers } from '../../run/serving/engine-servers.ts';
import type { LearnOptions } from '../../run/serving/online-learner.ts';
import { serve } from '../../run/serving/serve.ts';
import { collect, nonNegative, share, wholeNumber } from '../options.ts';
import { type AccessFlags, accessOf, toTerminal, withAccess } from './serving-options.ts';

export function serveCommand(): Command {
  const command = new Command('serve')
    .description('serves a checkpoint to agents of your own, in every dialect, and records every turn')
    .argument('<model>', 'a Hugging Face folder, or a run directory (its newest checkpoint)')
    .option('--run <dir>', 'run directory (default: runs/serve, then runs/serve-2, ...)')
    .option('--temperature <t>', 'of the sampling', temperature, 1)
    .option('--top-k <n>', 'draw from the n likeliest tokens (0: from every one)', wholeNumber, 0)
    .option('--top-p <p>', 'draw from the fewest tokens that hold this share of the probability', share, 1)
    .option('--min-p <p>', 'draw from tokens that are at least so probable as p times the likeliest', share, 0)
    .addOption(
      new Option('--sampling <by>', 'whose sampling counts: of what requests ask, `session` only keeps a record')
        .choices(['session', 'request'])
        .default('session'),
    )
    .option('--max-tokens <n>', 'most tokens of a turn (default: what the context has room for)', wholeNumber)
    .option('--learn', 'learn from the rewards of sessions that are finished, while serving', false)
    .option('--group-size <n>', 'finished sessions of one group that are compared', wholeNumber, 8)
    .option('--groups-per-step <n>', 'such groups that make an optimizer step', wholeNumber, 4)
    .option('--learning-rate <r>', 'of AdamW (default: 3e-4)', nonNegative)
    .option('--checkpoint-every <n>', 'steps between checkpoints; the two newest are kept', wholeNumber, 1)
    .option('--seed <n>', 'seed of the sampling', wholeNumber, 0)
    .option('--threads <n>', 'threads of the engine', wholeNumber, 2)
    .option('--engine-url <url>', 'a vLLM or SGLang server that samples instead; may be repeated', collect, [])
    .addOption(new Option('--engine-kind <kind>', 'what it is (default: asked)').choices(['vllm', 'sglang']))
    .option(
      '--model-map <name=to>',
      'policy, untrained, refuse or http://host/v1#model for a requested name, * for others; may be repeated',
      collect,
      [],
    );
  return withAccess(command).action(async (model: string, options: ServeFlags) => {
    const { run, temperature, maxTokens, seed, threads, modelMap, topK, topP, minP, sampling } = options;
    const truncation = { topK, topP, minP };
    const problem = problemOfTruncation(truncation);
    if (problem !== null) throw new EspalierError('config', problem);
    await serve(
      {
        ...accessOf(options, process.env),
        ...{ model, temperature, truncation, samplingBy: sampling, seed, threads, modelMap },
        upstreamKey: process.env['ESPALIER_UPSTREAM_KEY'] || null,
        run: run ?? null,
        maxTokens: maxTokens ?? null,
        engineServers: engineServers(options),
        learn: options.learn ? learnOptions(options) : null,
      },
      toTerminal,
    );
  });
}

interface ServeFlags extends AccessFlags {
  readonly run?: string;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly sampling: 'session' | 'request';
  readonly maxTokens?: number;
  readonly seed: number;
  readonly threads: number;
  readonly engineUrl: readonly string[];
  readonly engineKind?: UpstreamKind;
  readonly modelMap: readonly string[];
  readonly learn: boolean;
  readonly groupSize: number;
  readonly groupsPerStep: number;
  readonly learningRate?: number;
  readonly checkpointEvery: number;
}

function engineServers({ engineUrl: urls, engineKind }: ServeFlags): EngineServers | null {
  if (urls.length === 0) {
    if (engineKind === undefined) return null;
    throw new EspalierError('config', `--engine-kind ${engineKind} needs an --engine-url`);
  }
  return { urls, kind: engineKind ?? null, key: process.env['ESPALIER_ENGINE_KEY'] || null };
}

function learnOptions({
  groupSize,
  groupsPerStep,
  learningRate = 3e-4,
  checkpointEvery,
  seed,
}: ServeFlags): LearnOptions {
  for (const [name, value, least] of [
    ['--group-size', groupSize, 2],
    ['--groups-per-step', groupsPerStep, 1],
    ['--checkpoint-every', checkpointEvery, 1],
  ] as const) {
    if (value < least) throw new EspalierError('config', `${name} ${value}: give at least ${least}`);
  }
  return { groupSize, groupsPerStep, learningRate, checkpointEvery, seed };
}

function temperature(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 2))
    throw new InvalidArgumentError('a number from 0 to 2 is needed.');
  return value;
}
