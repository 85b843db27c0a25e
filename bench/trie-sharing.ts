/**
 * The trie against flat training, on groups that a run recorded: tokens, arithmetic and time of the same optimizer step.
 *
 *   node bench/trie-sharing.ts RUN [--batches N] [--groups N] [--rounds N] [--threads N]
 *
 * Three batches of the same rollouts and advantages are trained on: their trie, one flat sample a request (prompt and
 * completion of each turn), and one merged sample a trajectory (a rollout's turns joined). Each flat batch has the loss
 * of a trie with the matching weight of shared tokens (learn/flat-batch.ts), and that is checked: losses and gradients.
 *
 * Measures: native `train` calls (forward, backward, AdamW at a learning rate of 0, so that every round starts from the
 * same weights), on recorded batches spread over the run, under the newest checkpoint that is not later. A round runs
 * the three one after the other, in changing order; ratios are taken within a round, then their median and range.
 * Core time is processor time of all threads: on a machine that others use it says more than wall time.
 * Does not measure: making the batches, sampling, other model sizes, longer contexts, flat batches packed otherwise, or
 * another trainer's flat speed. `work` counts multiplications and additions of the forward; nothing about memory.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { EspalierError } from '../src/core/errors.ts';
import { solved } from '../src/core/verdict.ts';
import { readCheckpoint } from '../src/engine/checkpoint.ts';
import type { OptimizerStep, TrieBatch } from '../src/engine/engine.ts';
import { trainPlan } from '../src/engine/trie-batch.ts';
import { advantagesOf } from '../src/learn/advantages.ts';
import { flatBatch } from '../src/learn/flat-batch.ts';
import { type LearnedRollout, lossBatch } from '../src/learn/loss-terms.ts';
import { clippedObjective } from '../src/learn/objectives.ts';
import { optimizerStep, reinforcementOptimizer } from '../src/learn/optimizer.ts';
import { meanEntropy } from '../src/learn/stages/rl.ts';
import { loadNative, type ModelShape, type Tensors, type TrainPlan } from '../src/native/native.ts';
import { relativeError } from '../src/native/train-case.ts';
import { RunDirectory } from '../src/run/directory.ts';
import { RecordView } from '../src/run/ledger.ts';
import { rlOptions } from '../src/run/options.ts';
import { storeDirectory } from '../src/trajectory/journal.ts';
import type { ManifestRecord } from '../src/trajectory/records.ts';
import { readRun } from '../src/trajectory/run-index.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    batches: { type: 'string', default: '3' },
    groups: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
  },
});
const native = loadNative();
native.setThreads(Number(values.threads));
const still: OptimizerStep = { ...optimizerStep(reinforcementOptimizer, 0, 1), learningRate: 0 };
const kinds = ['trie', 'per request', 'merged'] as const;
type Kind = (typeof kinds)[number];

/** The rollouts of the batch's first groups with their advantages, as a step learns from them. */
function learnedRollouts(manifest: ManifestRecord, record: RecordView, run: RunDirectory): LearnedRollout[] {
  const groups = manifest.groups.map(({ rollouts, rewards }) => {
    const turns = rollouts.map((rollout) => record.turns(rollout));
    const verdicts = rollouts.map((rollout) => record.verdict(rollout));
    return {
      rewards,
      turns,
      passes: verdicts.map((it) => it !== null && solved(it)),
      entropies: turns.map(meanEntropy),
    };
  });
  const advantages = advantagesOf(groups, rlOptions(run.config).advantages);
  return groups
    .flatMap(({ turns }, group) => {
      const own = advantages[group];
      return own == null ? [] : [turns.map((each, i) => ({ turns: each, advantage: own[i] ?? 0 }))];
    })
    .slice(0, Number(values.groups))
    .flat();
}

/** Forward multiplications and additions: matrices by token, attention by visible pair, logits by row with a term. */
function workOf({ tokens, spanStart, spanParent, termNode }: TrieBatch, shape: ModelShape): number {
  const { hiddenSize, headDim, headCount, kvHeadCount, intermediateSize, layerCount, vocabSize } = shape;
  const layer = hiddenSize * headDim * (2 * headCount + 2 * kvHeadCount) + 3 * hiddenSize * intermediateSize;
  const endDepth: number[] = [];
  let pairs = 0;
  spanParent.forEach((parent, span) => {
    const length = (spanStart[span + 1] ?? 0) - (spanStart[span] ?? 0);
    const before = parent < 0 ? 0 : (endDepth[parent] ?? 0);
    endDepth.push(before + length);
    pairs += length * before + (length * (length + 1)) / 2;
  });
  const attention = 2 * headCount * headDim * pairs;
  return 2 * (layerCount * (tokens.length * layer + attention) + new Set(termNode).size * vocabSize * hiddenSize);
}

function worstError(a: Tensors, b: Tensors): number {
  return Math.max(...a.data.map((data, i) => relativeError(data, b.data[i] ?? [])));
}

function summary(numbers: readonly number[], digits: number): string {
  const sorted = numbers.toSorted((a, b) => a - b);
  const [low = 0, high = 0] = [sorted[0], sorted.at(-1)];
  return `${(sorted[sorted.length >> 1] ?? 0).toFixed(digits)} [${low.toFixed(digits)}, ${high.toFixed(digits)}]`;
}

async function compare(learned: readonly LearnedRollout[], checkpoint: string): Promise<void> {
  const { shape, weights } = await readCheckpoint(checkpoint);
  const trainer = native.createTrainer(native.createWeights(shape, weights));
  const perBranch = lossBatch(learned, 'per-branch');
  const once = lossBatch(learned, 'once');
  const objective = clippedObjective(once.figures.sampledTokens);
  const plan = (batch: TrieBatch): TrainPlan => trainPlan({ batch, objective, optimizer: still });
  const batches: Record<Kind, TrieBatch> = {
    trie: perBranch.batch,
    'per request': flatBatch(learned, 'requests'),
    merged: flatBatch(learned, 'merged'),
  };
  const turns = learned.reduce((sum, rollout) => sum + rollout.turns.length, 0);
  console.log(`  ${learned.length} rollouts, ${turns} turns, ${once.figures.sampledTokens} sampled tokens`);
  for (const [kind, same] of [['per request', once.batch] as const, ['merged', perBranch.batch] as const]) {
    const [flat, trie] = [plan(batches[kind]), plan(same)];
    const error = worstError(await native.gradients(trainer, trie), await native.gradients(trainer, flat));
    const [a, b] = [(await native.train(trainer, trie)).loss, (await native.train(trainer, flat)).loss];
    const apart = (Math.abs(a - b) / Math.abs(b)).toExponential(1);
    console.log(
      `  against ${kind}: loss ${a.toPrecision(7)}, relative difference ${apart}; gradients ${error.toExponential(1)}`,
    );
  }
  const wall: Record<Kind, number[]> = { trie: [], 'per request': [], merged: [] };
  const core: Record<Kind, number[]> = { trie: [], 'per request': [], merged: [] };
  for (let round = 0; round < Number(values.rounds); round++) {
    for (let turn = 0; turn < kinds.length; turn++) {
      const kind = kinds[(round + turn) % kinds.length] as Kind;
      const [began, cpu] = [performance.now(), process.cpuUsage()];
      await native.train(trainer, plan(batches[kind]));
      const { user, system } = process.cpuUsage(cpu);
      wall[kind].push(performance.now() - began);
      core[kind].push((user + system) / 1000);
    }
  }
  const work = (kind: Kind) => workOf(batches[kind], shape);
  for (const kind of kinds) {
    const tokens = batches[kind].tokens.length;
    const times = `${summary(wall[kind], 0)} ms, ${summary(core[kind], 0)} core ms`;
    const ratio = (of: Record<Kind, number[]>) =>
      summary(
        of[kind].map((ms, i) => ms / (of.trie[i] ?? 1)),
        2,
      );
    const ratios = [
      `tokens ${(tokens / batches.trie.tokens.length).toFixed(2)}`,
      `work ${(work(kind) / work('trie')).toFixed(2)}`,
      `time ${ratio(wall)}`,
      `core time ${ratio(core)}`,
    ];
    console.log(`  ${kind.padEnd(11)} ${tokens} tokens, ${times}${kind === 'trie' ? '' : `; x ${ratios.join(', ')}`}`);
  }
}

const run = RunDirectory.open(positionals[0] ?? 'runs/start');
const record = new RecordView(await readRun(storeDirectory(run.path), { bodies: false }));
const manifests = record.index.manifests.filter(({ groups }) => groups.length > 0);
if (manifests.length === 0) {
  throw new EspalierError('config', `${run.path} holds no batch with a signal: name a run that has taken a step`);
}
const count = Math.min(Number(values.batches), manifests.length);
const cpu = cpus();
const machine = `${cpu.length} x ${cpu[0]?.model.trim()}, ${native.instructionSet()}, ${values.threads} threads`;
console.log(`${machine}; ${values.rounds} rounds; median [least, most]`);
for (let i = 0; i < count; i++) {
  const at = count === 1 ? 0 : Math.round((i * (manifests.length - 1)) / (count - 1));
  const manifest = manifests[at] as ManifestRecord;
  const version = run.checkpoints().findLast((step) => step <= manifest.version) ?? 0;
  console.log(`batch ${manifest.details['batch']} (version ${manifest.version}), weights of checkpoints/${version}`);
  await compare(learnedRollouts(manifest, record, run), run.checkpoint(version));
}
