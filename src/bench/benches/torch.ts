/** The engine against eager PyTorch: the same model, the same batches, the same loss, in turns. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EspalierError } from '../../core/errors.ts';
import { Random, seedOf } from '../../core/random.ts';
import { writeCheckpoint } from '../../engine/checkpoint.ts';
import { weightsFile } from '../../engine/checkpoint-weights.ts';
import { modelConfigOf } from '../../engine/model-config.ts';
import { loadNative, type ModelShape, type Native, type TrainerState } from '../../native/native.ts';
import { randomTensors } from '../../native/train-case.ts';
import { whole } from '../../report/format.ts';
import type { Bench, BenchContext } from '../bench.ts';
import { batchOf, flatSequences, flattened, type MadeTrie, makeTrie, planOf, sharedPrompts } from '../made-trie.ts';
import { alternate, ratioOf, type Spread, secondsOf, spreadOf } from '../measure.ts';
import { type ModelName, models } from '../models.ts';
import { figure, rateText, type Section, section, text, timesText } from '../report.ts';
import { TorchProcess } from '../torch-process.ts';

export interface TorchOptions {
  /** A Python that has what bench/torch/requirements.txt names. */
  readonly python: string;
  /** Also 135 million parameters. */
  readonly large: boolean;
}

export interface TorchRow {
  readonly model: ModelName;
  readonly batch: string;
  /** What PyTorch computes. */
  readonly flatTokens: number;
  /** What the engine computes: fewer where paths share. */
  readonly tokens: number;
  /** Sequences of PyTorch's fastest micro-batch. */
  readonly microBatch: number;
  /** Flat tokens a second of a whole step. */
  readonly torchTokensPerSecond: Spread;
  readonly tokensPerSecond: Spread;
  /** PyTorch's time over the engine's, within a round. */
  readonly timesFaster: Spread;
  /** |a - b| / |b| of the losses. */
  readonly lossesDifferBy: number;
}

/** Losses that differ by more are not those of the same work. */
const lossTolerance = 1e-4;

interface Wish {
  readonly name: string;
  readonly trie: MadeTrie;
}

function wishes(model: ModelName, quick: boolean, random: Random): Wish[] {
  const { vocabSize } = models[model];
  const length = quick ? 64 : 512;
  const count = quick ? 2 : { '0.5M': 16, '1M': 16, '5M': 8, '30M': 4, '135M': 1 }[model];
  const flat = makeTrie(flatSequences(count, length), vocabSize, random);
  const all = [{ name: `flat ${count} x ${length}`, trie: flat }];
  if (model === '135M') return all;
  for (const leaves of quick ? [4] : [8, 24]) {
    const trie = makeTrie(sharedPrompts(2, leaves, length, quick ? 8 : 64), vocabSize, random);
    all.push({ name: `2 groups, ${leaves} paths of ${length}`, trie });
  }
  return all;
}

interface Sides {
  readonly native: Native;
  readonly trainer: TrainerState;
  readonly torch: TorchProcess;
}

async function compare(
  { native, trainer, torch }: Sides,
  model: ModelName,
  wish: Wish,
  quick: boolean,
): Promise<TorchRow> {
  const flat = flattened(wish.trie);
  const plan = planOf(batchOf(wish.trie));
  const microBatch = await torch.batch(wish.name, flat);
  const { loss } = await native.train(trainer, plan);
  let lossesDifferBy = 0;
  const seconds = await alternate(
    {
      engine: () => secondsOf(() => native.train(trainer, plan)),
      torch: async () => {
        const step = await torch.step(wish.name);
        lossesDifferBy = Math.max(lossesDifferBy, Math.abs(loss - step.loss) / Math.abs(step.loss));
        return step.seconds;
      },
    },
    { rounds: quick ? 3 : 7, seconds: 40 },
  );
  if (!(lossesDifferBy <= lossTolerance)) {
    throw new EspalierError('engine', `${wish.name}: losses differ by ${lossesDifferBy}, so the work is not the same`);
  }
  const rate = (times: readonly number[]): Spread => spreadOf(times.map((time) => flat.tokens.length / time));
  return {
    ...{ model, batch: wish.name, microBatch, lossesDifferBy },
    flatTokens: flat.tokens.length,
    tokens: plan.tokens.length,
    torchTokensPerSecond: rate(seconds.torch),
    tokensPerSecond: rate(seconds.engine),
    timesFaster: ratioOf(seconds.torch, seconds.engine),
  };
}

async function run({ python, large }: TorchOptions, { quick, threads, tell }: BenchContext): Promise<Section[]> {
  const native = loadNative();
  native.setThreads(threads);
  const folder = await mkdtemp(join(tmpdir(), 'espalier-bench-'));
  await using torch = new TorchProcess(python);
  const rows: TorchRow[] = [];
  let version = '';
  try {
    const names: ModelName[] = quick ? ['0.5M'] : ['1M', '5M', ...(large ? (['135M'] as const) : [])];
    for (const model of names) {
      const shape: ModelShape = models[model];
      const random = new Random(seedOf('torch bench', model));
      const weights = randomTensors(shape, random);
      tell(`${model}: weights`);
      const directory = join(folder, model);
      await writeCheckpoint(directory, {
        ...{ shape, weights, config: modelConfigOf(shape) },
        ...{ optimizer: null, files: new Map<string, Uint8Array>() },
      });
      version = await torch.open(shape, join(directory, weightsFile), threads);
      const trainer = native.createTrainer(native.createWeights(shape, weights));
      for (const wish of wishes(model, quick, random)) {
        tell(`${model}: ${wish.name}`);
        rows.push(await compare({ native, trainer, torch }, model, wish, quick));
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return [
    section('torch', `Optimizer steps against eager PyTorch ${version} on ${threads} threads`, rows, [
      text('model', ({ model }) => model),
      text('batch', ({ batch }) => batch),
      figure('tokens flat', ({ flatTokens }) => whole(flatTokens)),
      figure('tokens trie', ({ tokens }) => whole(tokens)),
      figure('micro-batch', ({ microBatch }) => whole(microBatch)),
      figure('PyTorch, flat tokens/s', ({ torchTokensPerSecond }) => rateText(torchTokensPerSecond)),
      figure('Espalier, flat tokens/s', ({ tokensPerSecond }) => rateText(tokensPerSecond)),
      figure('times faster', ({ timesFaster }) => timesText(timesFaster)),
      figure('losses differ by', ({ lossesDifferBy }) => lossesDifferBy.toExponential(1)),
    ]),
  ];
}

export const torchBench: Bench<TorchOptions> = {
  name: 'torch',
  measures:
    'whole optimizer steps of the engine and of eager PyTorch, float32, same weights, batches and loss, in turns',
  notMeasured: [
    'torch.compile, lower precision, and other processors than this CPU',
    'sequences of different lengths, which PyTorch would have to pad or take one by one',
    'loading PyTorch and finding its best micro-batch',
  ],
  run,
};
