/** A whole optimizer step of the native trainer: forward, backward, AdamW. */
import { Random, seedOf } from '../../core/random.ts';
import { loadKernelBench } from '../../native/kernel-bench.ts';
import { loadNative, type ModelShape } from '../../native/native.ts';
import { randomTensors } from '../../native/train-case.ts';
import { whole } from '../../report/format.ts';
import type { Bench, BenchContext } from '../bench.ts';
import { batchOf, flatSequences, forkingGroups, makeTrie, planOf, type SpanWish } from '../made-trie.ts';
import { alternate, PeakMeter, type Spread, secondsOf, spreadOf } from '../measure.ts';
import { type ModelName, models, parameterCount } from '../models.ts';
import { figure, rateText, type Section, section, shareText, spreadText, text } from '../report.ts';
import { trainingFlops } from '../work.ts';

export interface TrainRow {
  readonly model: ModelName;
  readonly parameters: number;
  readonly batch: string;
  readonly tokens: number;
  readonly spans: number;
  /** Forward and backward, as work.ts counts. */
  readonly flops: number;
  readonly seconds: Spread;
  readonly tokensPerSecond: Spread;
  /** Of the peak on as many threads, read just before each step. */
  readonly shareOfPeak: Spread;
}

export interface TrainOptions {
  /** Also 30 and 135 million parameters. */
  readonly large: boolean;
}

interface BatchWish {
  readonly name: string;
  readonly spans: readonly SpanWish[];
}

/** A flat batch for every model; for the 1M model also tries as reinforcement learning makes them. */
function batches(model: ModelName, quick: boolean, random: Random): BatchWish[] {
  const sequences: Readonly<Record<ModelName, number>> = { '0.5M': 16, '1M': 16, '5M': 8, '30M': 2, '135M': 1 };
  const count = quick ? 1 : sequences[model];
  const length = quick ? 64 : 512;
  const flat = { name: `flat ${count} x ${length}, every token a target`, spans: flatSequences(count, length) };
  if (model !== '1M') return [flat];
  const short = Array.from({ length: quick ? 8 : 160 }, () => {
    return { parent: 0, tokens: random.between(5, 15), learned: 0.5 };
  });
  /** What short spans cost: their tokens a second beside those of a flat batch of as many. */
  const leaves = (count: number, tokens: number): SpanWish[] => [
    { parent: -1, tokens: quick ? 90 : 900, learned: 0 },
    ...Array.from({ length: quick ? 4 : count }, () => ({ parent: 0, tokens, learned: 0.5 })),
  ];
  return [
    flat,
    { name: 'flat, 15% targets', spans: flatSequences(count, length, 0.15) },
    { name: 'trie, groups of 8 that fork, 50% targets', spans: forkingGroups(quick ? 1 : 8, 0.5, random) },
    { name: 'spans of 5 to 15 under a prompt of 200', spans: [{ parent: -1, tokens: 200, learned: 0 }, ...short] },
    { name: 'leaves of 1 under a prompt of 900', spans: leaves(600, 1) },
    { name: 'leaves of 16 under a prompt of 900', spans: leaves(40, 16) },
    { name: 'flat 2 x 770, as many tokens', spans: flatSequences(2, quick ? 64 : 770, 0.5) },
  ];
}

async function run({ large }: TrainOptions, { quick, threads, tell }: BenchContext): Promise<Section[]> {
  const native = loadNative();
  native.setThreads(threads);
  const kernels = loadKernelBench();
  const peak = new PeakMeter(kernels, quick ? 0.1 : 10);
  kernels.setThreads(threads);
  const names: ModelName[] = quick
    ? ['0.5M', '1M']
    : ['0.5M', '1M', '5M', ...(large ? (['30M', '135M'] as const) : [])];
  const rows: TrainRow[] = [];
  for (const model of names) {
    const shape: ModelShape = models[model];
    const random = new Random(seedOf('train bench', model));
    tell(`${model}: weights`);
    const trainer = native.createTrainer(native.createWeights(shape, randomTensors(shape, random)));
    for (const { name, spans } of batches(model, quick, random)) {
      const batch = batchOf(makeTrie(spans, shape.vocabSize, random));
      const plan = planOf(batch);
      tell(`${model}: ${name}`);
      await native.train(trainer, plan);
      const peaks: number[] = [];
      const { step } = await alternate(
        {
          step: () => {
            peaks.push(peak.read());
            return secondsOf(() => native.train(trainer, plan));
          },
        },
        { rounds: quick ? 3 : 9, seconds: 20 },
      );
      const flops = trainingFlops(batch, shape);
      rows.push({
        ...{ model, parameters: parameterCount(shape), batch: name, flops },
        tokens: batch.tokens.length,
        spans: batch.spanParent.length,
        seconds: spreadOf(step),
        tokensPerSecond: spreadOf(step.map((seconds) => batch.tokens.length / seconds)),
        shareOfPeak: spreadOf(step.map((seconds, round) => flops / seconds / (peaks[round] as number))),
      });
    }
  }
  return [
    section('steps', `Optimizer steps on ${threads} threads (peak: ${peak.width} registers)`, rows, [
      text('model', ({ model }) => model),
      figure('parameters', ({ parameters }) => whole(parameters)),
      text('batch', ({ batch }) => batch),
      figure('tokens', ({ tokens }) => whole(tokens)),
      figure('spans', ({ spans }) => whole(spans)),
      figure('ms a step', ({ seconds }) => spreadText(seconds, (value) => (1000 * value).toFixed(0))),
      figure('tokens/s', ({ tokensPerSecond }) => rateText(tokensPerSecond)),
      figure('of the peak', ({ shareOfPeak }) => shareText(shareOfPeak)),
    ]),
  ];
}

export const trainBench: Bench<TrainOptions> = {
  name: 'train',
  measures: 'whole optimizer steps (forward, backward, clipping, AdamW) of the native trainer on made-up batches',
  notMeasured: [
    'making batches and publishing weights',
    'the optimizer in the share of the peak: its time counts, its operations do not',
    'trained weights: random ones take the same time',
  ],
  run,
};
