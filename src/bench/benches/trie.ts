/**
 * The trie against flat training in the same engine.
 *
 * Made-up groups have a prompt that all rollouts share and end in spans of 64, 16 or 1 tokens each; every path is as
 * long as the context. With `run` the groups that a run recorded are compared too (recorded.ts).
 */
import { Random, seedOf } from '../../core/random.ts';
import { loadNative, type ModelShape } from '../../native/native.ts';
import { randomTensors } from '../../native/train-case.ts';
import { whole } from '../../report/format.ts';
import type { Bench, BenchContext } from '../bench.ts';
import { batchOf, flattened, makeTrie, planOf, sharedPrompts } from '../made-trie.ts';
import { type ModelName, modelNamed, models } from '../models.ts';
import { figure, type Section, section } from '../report.ts';
import { type Comparison, compareWithFlat, comparisonColumns } from '../trie-against-flat.ts';
import { recordedSection } from './recorded.ts';

export interface TrieOptions {
  readonly model: string;
  /** Every context with every span, more rounds: an hour. */
  readonly full: boolean;
  /** A run directory. */
  readonly run?: string;
}

export interface TrieRow extends Comparison {
  readonly model: ModelName;
  readonly context: number;
  readonly wantedRatio: number;
  /** Tokens that each leaf has to itself. */
  readonly spanTokens: number;
  readonly leaves: number;
}

interface Wish {
  readonly context: number;
  readonly ratio: number;
  readonly span: number;
}

const ratios = [2.5, 4, 12] as const;
const spans = [64, 16, 1] as const;
const groups = 2;

function wishes(quick: boolean, full: boolean): Wish[] {
  if (quick) return ratios.map((ratio) => ({ context: 64, ratio, span: 2 }));
  const contexts = [512, 2048, 8192];
  return contexts
    .flatMap((context) => spans.flatMap((span) => ratios.map((ratio) => ({ context, ratio, span }))))
    .filter(({ context, span, ratio }) => full || context < 8192 || span === 64 || (span === 1 && ratio === 4));
}

/**
 * Leaves of all groups together for a token ratio near the wanted one, from ratio = leaves * context / (groups *
 * (context - own) + leaves * own); null where leaves that long cannot share so much.
 */
function leavesFor({ context, ratio, span }: Wish): number | null {
  const room = context - ratio * span;
  return room > 0 ? Math.round((groups * ratio * (context - span)) / room) : null;
}

async function run({ model, full, run: directory }: TrieOptions, context: BenchContext): Promise<Section[]> {
  const { quick, threads, tell } = context;
  const name = modelNamed(model);
  const shape: ModelShape = models[name];
  const native = loadNative();
  native.setThreads(threads);
  const random = new Random(seedOf('trie bench'));
  const trainer = native.createTrainer(native.createWeights(shape, randomTensors(shape, random)));
  const rows: TrieRow[] = [];
  const impossible: Wish[] = [];
  for (const wish of wishes(quick, full)) {
    const leaves = leavesFor(wish);
    if (leaves === null) {
      impossible.push(wish);
      continue;
    }
    tell(`context ${wish.context}, spans of ${wish.span}, ${leaves} paths for a ratio of about ${wish.ratio}`);
    const trie = makeTrie(sharedPrompts(groups, leaves, wish.context, wish.span), shape.vocabSize, random);
    const tree = planOf(batchOf(trie));
    const forms = { flat: { flat: planOf(batchOf(flattened(trie))), sameLoss: tree } };
    const rounds = { rounds: quick ? 2 : full ? 5 : 3, seconds: full ? 60 : 8 };
    const { flat } = await compareWithFlat(native, trainer, shape, tree, forms, rounds);
    rows.push({
      ...{ model: name, context: wish.context, wantedRatio: wish.ratio, spanTokens: wish.span, leaves },
      ...flat,
    });
  }
  for (const { context: tokens, ratio, span } of impossible) {
    tell(`left out: leaves of ${span} in a context of ${tokens} cannot share ${ratio}x (at most ${tokens / span}x)`);
  }
  const made = section('made', `Made-up groups, ${name} parameters, ${threads} threads; a sample is a path`, rows, [
    figure('context', ({ context: tokens }) => whole(tokens)),
    figure('own span', ({ spanTokens }) => whole(spanTokens)),
    figure('paths', ({ leaves }) => whole(leaves)),
    ...comparisonColumns<TrieRow>(),
  ]);
  return directory === undefined ? [made] : [made, await recordedSection(directory, native, context)];
}

export const trieBench: Bench<TrieOptions> = {
  name: 'trie',
  measures: 'forward and backward of a trie against its paths one by one, same engine, same loss, alternating',
  notMeasured: [
    'making batches, the optimizer, sampling',
    "flat batches of another trainer (espalier bench torch has PyTorch's)",
    'how much real agents share: that is what --run is for',
  ],
  run,
};
