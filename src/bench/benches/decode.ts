/** Tokens a second of decoding, one sequence and sixteen, every token with its log-probability and entropy. */
import { EspalierError } from '../../core/errors.ts';
import { Random, seedOf } from '../../core/random.ts';
import { type EmbeddedEngine, openEmbedded } from '../../engine/engines/embedded.ts';
import { randomCheckpoint } from '../../engine/random-checkpoint.ts';
import { planOf, randomIds } from '../../native/kernel-case.ts';
import { loadNative, type ModelShape, type Native, type Weights } from '../../native/native.ts';
import { whole } from '../../report/format.ts';
import type { Bench, BenchContext } from '../bench.ts';
import { decodingRate } from '../decoding-rate.ts';
import { alternate, ratioOf, type Spread, spreadOf } from '../measure.ts';
import { type ModelName, models } from '../models.ts';
import { figure, rateText, type Section, section, text, timesText } from '../report.ts';

export interface DecodeOptions {
  /** Also 30 and 135 million parameters. */
  readonly large: boolean;
}

export interface DecodeRow {
  readonly model: ModelName;
  readonly batch: number;
  /** Tokens before the first one that is decoded. */
  readonly context: number;
  /** Through the engine's `generate`: scheduling, cache and events included. */
  readonly tokensPerSecond: Spread;
  /** Of the native forward alone, draws included. */
  readonly forwardTokensPerSecond: Spread;
}

export interface DecodeRatioRow {
  readonly model: ModelName;
  /** Tokens a second of batch 16 over those of batch 1, within a round. */
  readonly ratio: Spread;
  readonly forwardRatio: Spread;
}

const batches = [1, 16] as const;

/** Samples after `ids`; yields how many tokens each event holds. Throws when it ends before `maxTokens`. */
export async function* engineStream(
  engine: EmbeddedEngine,
  ids: Int32Array,
  maxTokens: number,
  seed: number,
): AsyncGenerator<number> {
  const sampling = { temperature: 1, maxTokens, stopIds: [] };
  for await (const event of engine.generate({ ids, sampling, seed: BigInt(seed) })) {
    if (event.type === 'tokens') yield event.ids.length;
    else if (event.reason !== 'length') throw new EspalierError('engine', `decoding ended with ${event.reason}`);
  }
}

/** A case that decodes the same position of `batch` sequences again and again. */
async function forwardCase(
  native: Native,
  shape: ModelShape,
  weights: Weights,
  { context, batch, steps }: { readonly context: number; readonly batch: number; readonly steps: number },
): Promise<() => Promise<number>> {
  const random = new Random(seedOf('decode bench', batch));
  const perSequence = Math.ceil((context + 1) / native.cacheBlockTokens());
  const cache = native.createCache(shape, batch * perSequence);
  const part = (sequence: number, length: number, firstPosition: number) => ({
    tokens: randomIds(random, length, shape.vocabSize),
    firstPosition,
    blocks: Array.from({ length: perSequence }, (_, i) => sequence * perSequence + i),
  });
  for (let sequence = 0; sequence < batch; sequence++) {
    await native.forward(weights, cache, planOf([{ ...part(sequence, context, 0), draw: false }]));
  }
  const plan = planOf(Array.from({ length: batch }, (_, sequence) => part(sequence, 1, context)));
  return async (): Promise<number> => {
    const begun = performance.now();
    for (let step = 0; step < steps; step++) await native.forward(weights, cache, plan);
    return (1000 * batch * steps) / (performance.now() - begun);
  };
}

async function run({ large }: DecodeOptions, { quick, threads, tell }: BenchContext): Promise<Section[]> {
  const native = loadNative();
  const names: ModelName[] = quick ? ['0.5M'] : ['1M', '5M', ...(large ? (['30M', '135M'] as const) : [])];
  const context = quick ? 32 : 256;
  const rows: DecodeRow[] = [];
  const ratios: DecodeRatioRow[] = [];
  for (const model of names) {
    tell(`${model}: weights`);
    const tokens = quick || model === '135M' ? 64 : 128;
    const shape = { ...models[model], contextLength: context + tokens };
    const blocks = 32 * Math.ceil(shape.contextLength / native.cacheBlockTokens());
    const checkpoint = randomCheckpoint(shape, 0n);
    const engine = await openEmbedded({ model: checkpoint, threads, cacheBlocks: blocks });
    const weights = native.createWeights(shape, checkpoint.weights);
    const random = new Random(seedOf('decode bench prompts'));
    const prompts = Array.from({ length: Math.max(...batches) }, () => randomIds(random, context, shape.vocabSize));
    const forward = (batch: number) => forwardCase(native, shape, weights, { context, batch, steps: tokens });
    const [forwardOne, forwardSixteen] = [await forward(1), await forward(16)];
    const generate = (count: number, length = tokens): Promise<number> =>
      decodingRate(prompts.slice(0, count).map((ids, i) => engineStream(engine, ids, length, i)));
    // Fills the prefix cache, so that what is timed is decoding.
    await generate(16, 1);
    tell(`${model}: batch 1 and 16`);
    const rates = await alternate(
      {
        one: () => generate(1),
        sixteen: () => generate(16),
        ...{ forwardOne, forwardSixteen },
      },
      { rounds: quick ? 2 : 15, seconds: 30 },
    );
    await engine.close();
    const row = (batch: number, generated: readonly number[], forwarded: readonly number[]): DecodeRow => ({
      ...{ model, batch, context },
      tokensPerSecond: spreadOf(generated),
      forwardTokensPerSecond: spreadOf(forwarded),
    });
    rows.push(row(1, rates.one, rates.forwardOne), row(16, rates.sixteen, rates.forwardSixteen));
    const ratio = ratioOf(rates.sixteen, rates.one);
    ratios.push({ model, ratio, forwardRatio: ratioOf(rates.forwardSixteen, rates.forwardOne) });
  }
  return [
    section('decode', `Decoding on ${threads} threads`, rows, [
      text('model', ({ model }) => model),
      figure('batch', ({ batch }) => whole(batch)),
      figure('context', ({ context: before }) => whole(before)),
      figure('tokens/s', ({ tokensPerSecond }) => rateText(tokensPerSecond)),
      figure('native forward alone', ({ forwardTokensPerSecond }) => rateText(forwardTokensPerSecond)),
    ]),
    section('ratio', 'Batch 16 over batch 1, tokens/s', ratios, [
      text('model', ({ model }) => model),
      figure('ratio', ({ ratio }) => timesText(ratio)),
      figure('native forward alone', ({ forwardRatio }) => timesText(forwardRatio)),
    ]),
  ];
}

export const decodeBench: Bench<DecodeOptions> = {
  name: 'decode',
  measures: 'tokens a second at temperature 1, each with its log-probability and entropy; prompts are cached',
  notMeasured: ['prompts (prefill)', 'HTTP, tokenizing and the record', 'contexts over 512 tokens'],
  run,
};
