/**
 * One training step in a process of its own, since the peak of resident memory is a process's: argument 2 is a
 * `MemoryWish` as JSON, standard output one `MemoryFigures`.
 */
import { Random, seedOf } from '../core/random.ts';
import { loadNative, type ModelShape } from '../native/native.ts';
import { randomTensors } from '../native/train-case.ts';
import { batchOf, makeTrie, planOf, sharedPrompts } from './made-trie.ts';
import { type ModelName, models } from './models.ts';

export interface MemoryWish {
  readonly model: ModelName;
  readonly context: number;
  readonly leaves: number;
  /** Tokens that a leaf has to itself, all of them targets. */
  readonly ownTokens: number;
  readonly threads: number;
}

export interface MemoryFigures {
  readonly tokens: number;
  /** Resident memory, bytes: with weights, trainer and batch made, before the step. */
  readonly heldBytes: number;
  /** The highest that it ever was. */
  readonly peakBytes: number;
}

const { model, context, leaves, ownTokens, threads } = JSON.parse(process.argv[2] ?? '') as MemoryWish;
const shape: ModelShape = models[model];
const random = new Random(seedOf('memory bench'));
const native = loadNative();
native.setThreads(threads);
const trainer = native.createTrainer(native.createWeights(shape, randomTensors(shape, random)));
const plan = planOf(batchOf(makeTrie(sharedPrompts(1, leaves, context, ownTokens), shape.vocabSize, random)));
const heldBytes = process.memoryUsage.rss();
await native.train(trainer, plan);
const peakBytes = process.resourceUsage().maxRSS * 1024;
process.stdout.write(JSON.stringify({ tokens: plan.tokens.length, heldBytes, peakBytes } satisfies MemoryFigures));
