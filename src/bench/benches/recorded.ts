/**
 * The trie against flat training on groups that a run recorded, under weights that it had then.
 *
 * What a ratio is taken of has to be named. `per request`: every turn is a sample of its own, prompt and completion.
 * `merged`: a rollout's turns are one sample wherever they extend each other. Both have the loss of a trie with the
 * matching weight of shared tokens (learn/flat-batch.ts), and gradients are compared with that one.
 */
import { EspalierError } from '../../core/errors.ts';
import { solved } from '../../core/verdict.ts';
import { readCheckpoint } from '../../engine/checkpoint.ts';
import type { TrieBatch } from '../../engine/engine.ts';
import { trainPlan } from '../../engine/trie-batch.ts';
import { advantagesOf } from '../../learn/advantages.ts';
import { type FlatSamples, flatBatch } from '../../learn/flat-batch.ts';
import { type LearnedRollout, lossBatch } from '../../learn/loss-terms.ts';
import { clippedObjective } from '../../learn/objectives.ts';
import { meanEntropy } from '../../learn/stages/rl.ts';
import type { Native, TrainPlan } from '../../native/native.ts';
import { whole } from '../../report/format.ts';
import { RunDirectory } from '../../run/directory.ts';
import { RecordView } from '../../run/ledger.ts';
import { rlOptions } from '../../run/options.ts';
import { storeDirectory } from '../../trajectory/journal.ts';
import type { ManifestRecord } from '../../trajectory/records.ts';
import { readRun } from '../../trajectory/run-index.ts';
import type { BenchContext } from '../bench.ts';
import { still } from '../made-trie.ts';
import { figure, type Section, section, text } from '../report.ts';
import { type Comparison, compareWithFlat, comparisonColumns } from '../trie-against-flat.ts';

export interface RecordedRow extends Comparison {
  readonly batch: number;
  /** Policy version that the batch was sampled under. */
  readonly version: number;
  readonly rollouts: number;
  readonly turns: number;
  /** A sample is a ... */
  readonly samples: 'per request' | 'merged';
}

/** Batches that are looked at, spread over the run, and groups of each. */
const most = { batches: 3, groups: 4 } as const;

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
    .slice(0, most.groups)
    .flat();
}

/** Throws `config` when the run has taken no step. */
export async function recordedSection(
  path: string,
  native: Native,
  { quick, tell, threads }: BenchContext,
): Promise<Section> {
  const run = RunDirectory.open(path);
  const record = new RecordView(await readRun(storeDirectory(run.path), { bodies: false }));
  const manifests = record.index.manifests.filter(({ groups }) => groups.length > 0);
  if (manifests.length === 0) {
    throw new EspalierError('config', `${run.path} holds no batch with a signal: name a run that has taken a step`);
  }
  const rows: RecordedRow[] = [];
  const count = Math.min(quick ? 1 : most.batches, manifests.length);
  for (let i = 0; i < count; i++) {
    const manifest = manifests[
      count === 1 ? 0 : Math.round((i * (manifests.length - 1)) / (count - 1))
    ] as ManifestRecord;
    const learned = learnedRollouts(manifest, record, run);
    tell(`batch ${manifest.details['batch']} of ${path}: ${learned.length} rollouts`);
    const version = run.checkpoints().findLast((step) => step <= manifest.version) ?? 0;
    const { shape, weights } = await readCheckpoint(run.checkpoint(version));
    const trainer = native.createTrainer(native.createWeights(shape, weights));
    const perBranch = lossBatch(learned, 'per-branch');
    const once = lossBatch(learned, 'once');
    const objective = clippedObjective(once.figures.sampledTokens);
    const plan = (batch: TrieBatch): TrainPlan => trainPlan({ batch, objective, optimizer: still });
    const form = (samples: FlatSamples, same: TrieBatch) => ({
      flat: plan(flatBatch(learned, samples)),
      sameLoss: plan(same),
    });
    const forms = { 'per request': form('requests', once.batch), merged: form('merged', perBranch.batch) };
    const rounds = { rounds: quick ? 1 : 5, seconds: 20 };
    const compared = await compareWithFlat(native, trainer, shape, plan(perBranch.batch), forms, rounds);
    for (const samples of ['per request', 'merged'] as const) {
      rows.push({
        ...{ batch: Number(manifest.details['batch']), version: manifest.version, rollouts: learned.length, samples },
        turns: learned.reduce((sum, { turns }) => sum + turns.length, 0),
        ...compared[samples],
      });
    }
  }
  return section('recorded', `Recorded groups of ${path}, ${threads} threads`, rows, [
    figure('batch', ({ batch }) => whole(batch)),
    figure('rollouts', ({ rollouts }) => whole(rollouts)),
    figure('turns', ({ turns }) => whole(turns)),
    text('a sample is', ({ samples }) => (samples === 'merged' ? 'a trajectory (merged)' : 'a request')),
    ...comparisonColumns<RecordedRow>(),
  ]);
}
