/**
 * Decoding against llama.cpp: the same float32 weights and prompts, in turns. The engine draws and reports log-probabilities,
 * as it always does; llama.cpp takes the likeliest token and reports nothing, since its binding spends long on either.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EspalierError } from '../../core/errors.ts';
import { Random, seedOf } from '../../core/random.ts';
import { openEmbedded } from '../../engine/engines/embedded.ts';
import { modelConfigOf } from '../../engine/model-config.ts';
import { randomIds } from '../../native/kernel-case.ts';
import { loadNative, type ModelShape } from '../../native/native.ts';
import { randomTensors } from '../../native/train-case.ts';
import { whole } from '../../report/format.ts';
import type { Bench, BenchContext } from '../bench.ts';
import { decodingRate } from '../decoding-rate.ts';
import { writeGguf } from '../gguf.ts';
import { LlamaCpp } from '../llama-cpp.ts';
import { alternate, ratioOf, type Spread, spreadOf } from '../measure.ts';
import { models } from '../models.ts';
import { figure, rateText, type Section, section, timesText } from '../report.ts';
import { engineStream } from './decode.ts';

export interface LlamaBenchOptions {
  /** Where node-llama-cpp is installed. */
  readonly modules: string;
}

export interface LlamaRow {
  readonly batch: number;
  readonly context: number;
  readonly llamaTokensPerSecond: Spread;
  readonly tokensPerSecond: Spread;
  /** The engine's rate over llama.cpp's, within a round. */
  readonly timesFaster: Spread;
  /** |p / q - 1| of the token that llama.cpp drew first. */
  readonly probabilityDiffersBy: number;
}

/** Probabilities that differ by more are not those of one model. */
const tolerance = 0.01;

async function run({ modules }: LlamaBenchOptions, { quick, threads, tell }: BenchContext): Promise<Section[]> {
  const context = quick ? 32 : 256;
  const tokens = 64;
  const shape: ModelShape = {
    ...(quick ? { ...models['0.5M'], qkNorm: false } : models['135M']),
    contextLength: context + tokens,
  };
  const random = new Random(seedOf('llama bench'));
  tell('weights');
  const weights = randomTensors(shape, random);
  const folder = await mkdtemp(join(tmpdir(), 'espalier-bench-'));
  try {
    const model = join(folder, 'model.gguf');
    await writeGguf(model, shape, weights);
    const checkpoint = { shape, weights, config: modelConfigOf(shape), optimizer: null, files: new Map() };
    const blocks = 32 * Math.ceil(shape.contextLength / loadNative().cacheBlockTokens());
    const engine = await openEmbedded({ model: checkpoint, threads, cacheBlocks: blocks });
    await using llama = await LlamaCpp.open(modules, {
      ...{ model, threads, sequences: 16, contextLength: shape.contextLength + 8 },
    });
    const prompts = Array.from({ length: 16 }, () => randomIds(random, context, shape.vocabSize));
    tell('prompts');
    await llama.prepare(prompts.map((ids) => [...ids]));
    const ours = (batch: number, count = tokens): Promise<number> =>
      decodingRate(prompts.slice(0, batch).map((ids, i) => engineStream(engine, ids, count, i)));
    await ours(16, 1);
    const first = prompts[0] as Int32Array;
    const { token, probability } = await llama.draw(0);
    const own = (await engine.score(Int32Array.of(...first, token))).at(-1) as number;
    const difference = Math.abs(probability / Math.exp(own) - 1);
    if (!(difference <= tolerance)) {
      throw new EspalierError('engine', `probabilities differ by ${difference}, so the model is not the same`);
    }
    const theirs = (batch: number): Promise<number> =>
      decodingRate(prompts.slice(0, batch).map((_, i) => ones(llama, i, tokens)));
    const rows: LlamaRow[] = [];
    for (const batch of [1, 16]) {
      tell(`batch ${batch}`);
      const cases = { ours: () => ours(batch), theirs: () => theirs(batch) };
      const rates = await alternate(cases, { rounds: quick ? 2 : 7, seconds: 60 });
      rows.push({
        ...{ batch, context, probabilityDiffersBy: difference },
        llamaTokensPerSecond: spreadOf(rates.theirs),
        tokensPerSecond: spreadOf(rates.ours),
        timesFaster: ratioOf(rates.ours, rates.theirs),
      });
    }
    await engine.close();
    const size = quick ? '0.5M' : '135M';
    return [
      section('llama', `Decoding against llama.cpp ${llama.release}, ${size} parameters, ${threads} threads`, rows, [
        figure('batch', ({ batch }) => whole(batch)),
        figure('context', (row) => whole(row.context)),
        figure('llama.cpp, tokens/s', ({ llamaTokensPerSecond }) => rateText(llamaTokensPerSecond)),
        figure('Espalier, tokens/s', ({ tokensPerSecond }) => rateText(tokensPerSecond)),
        figure('times faster', ({ timesFaster }) => timesText(timesFaster)),
        figure('probability differs by', (row) => row.probabilityDiffersBy.toExponential(1)),
      ]),
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function* ones(llama: LlamaCpp, index: number, tokens: number): AsyncGenerator<number> {
  for await (const _ of llama.decode(index, tokens)) yield 1;
}

export const llamaBench: Bench<LlamaBenchOptions> = {
  name: 'llama',
  measures:
    'sampled tokens a second of the engine (drawn, with log-probabilities) and of llama.cpp (greedy, without), float32',
  notMeasured: [
    'quantized weights, which is what llama.cpp is made for',
    "llama.cpp without node-llama-cpp's scheduling around it",
    'prompts (prefill); trained weights, which take the same time',
  ],
  run,
};
