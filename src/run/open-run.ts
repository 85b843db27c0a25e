/**
 * A run that is open: its workplace, its rows, and where in its course it stands.
 *
 * Invariant: the run starts from `checkpoints/0`, a copy of the model, so that its directory is all that a replay needs.
 */
import { relative } from 'node:path';
import { type Clock, systemClock } from '../core/clock.ts';
import { EspalierError } from '../core/errors.ts';
import { policyVersion, type TaskId } from '../core/ids.ts';
import { solved } from '../core/verdict.ts';
import { readCheckpoint, writeCheckpoint } from '../engine/checkpoint.ts';
import type { RunInfo, RunView } from '../report/view.ts';
import type { CollectOptions } from '../rollout/manager.ts';
import type { FinishedRollout } from '../rollout/rollout.ts';
import type { ManifestRecord } from '../trajectory/records.ts';
import { messagesOf } from '../trajectory/transcript.ts';
import type { RunConfig } from './config.ts';
import { evaluateMoment, type Point } from './curve.ts';
import type { RunDirectory } from './directory.ts';
import { modelFolder } from './evaluate-model.ts';
import { Rows } from './rows.ts';
import { placeOfDraw, tasksetOf } from './tasksets.ts';
import { openWorkplace, type Workplace } from './workplace.ts';

export interface Run extends Workplace {
  readonly config: RunConfig;
  readonly directory: RunDirectory;
  readonly view: RunView;
  readonly clock: Clock;
  readonly info: RunInfo;
  readonly rows: Rows;
  /** The first batch that is not in the checkpoint that the run goes on from. */
  readonly firstBatch: number;
  collecting(batch: number): CollectOptions;
  /** Place of a drawn task in its taskset. */
  placeOf(task: TaskId): number;
  /** Held-out sets as the batch finds them; from the record where it has them. */
  evaluate(batch: number): Promise<readonly Point[]>;
  /** Durable when it resolves. Throws when a resumed run would learn from another batch than the recorded one. */
  recordManifest(manifest: ManifestRecord): Promise<void>;
  /** Saves the published weights. Throws when a resumed run has other weights than the recorded ones. */
  checkpoint(): Promise<void>;
}

export async function openRun(directory: RunDirectory, view: RunView, signal: AbortSignal): Promise<Run> {
  const { config } = directory;
  const taskset = tasksetOf(config.tasks);
  const heldOut = config.evaluation.sets.map(tasksetOf);
  if (directory.checkpoints().length === 0) await copyModel(modelFolder(config.model), directory.checkpoint(0));
  const step = directory.checkpoints().at(-1) ?? 0;
  const place = await openWorkplace({
    config,
    model: directory.checkpoint(step),
    version: step,
    optimizer: step === 0 ? 'fresh' : 'resume',
    runDirectory: directory.path,
    signal,
    onRollout: (rollout) => view.rollout(rolloutView(rollout)),
  });
  const { engine, journal } = place;
  const rolloutView = (rollout: FinishedRollout) => ({
    rollout: rollout.id,
    messages: messagesOf(journal.index, rollout.id),
    solved: rollout.verdict === null ? null : solved(rollout.verdict),
  });
  const rows = new Rows(directory, view);
  const firstBatch = firstBatchAt(step, place);
  const places = new Map<TaskId, number>();
  return {
    ...place,
    config,
    directory,
    view,
    clock: systemClock,
    rows,
    firstBatch,
    info: {
      name: config.name,
      directory: relative(process.cwd(), directory.path) || '.',
      model: config.model,
      seed: config.seed,
      steps: config.batches * config.learn.stepsPerBatch,
      stepsDone: step,
      resumeCommand: `npm run espalier -- train --resume --run ${relative(process.cwd(), directory.path) || '.'}`,
    },
    collecting: (batch) => ({
      ...place.manager({ trainable: true, temperature: config.learn.temperature }),
      scope: `batch/${batch}`,
      draw: (draw) => {
        const at = placeOfDraw(taskset, config.seed, batch, draw);
        const task = taskset.task(at);
        places.set(task.id, at);
        return task;
      },
      groups: config.rollout.groupsPerBatch,
      groupSize: config.rollout.groupSize,
      maxDraws: config.rollout.maxDraws,
    }),
    placeOf: (task) => places.get(task) ?? -1,
    evaluate: (batch) => {
      // A resumed run takes the first evaluation from the record, whatever weights it goes on with.
      const version = batch === 0 ? policyVersion(0) : engine.version;
      return evaluateMoment(
        config,
        heldOut,
        { batch, step: version, version },
        (temperature) => place.manager({ trainable: false, temperature }),
        (row) => rows.evaluation(row),
      );
    },
    recordManifest: async (manifest) => {
      const known = journal.index.manifests.find(({ details }) => details['batch'] === manifest.details['batch']);
      if (known === undefined) return journal.append(manifest);
      if (JSON.stringify(known) !== JSON.stringify(manifest)) {
        throw new EspalierError(
          'store',
          `batch ${String(manifest.details['batch'])} of ${directory.path} was recorded with other rollouts: the record is not of this run`,
        );
      }
    },
    checkpoint: async () => {
      const { version, sha256 } = await engine.snapshot();
      const known = journal.index.versions.find((recorded) => recorded.version === version);
      // Before the folder, so that weights which come out otherwise after a crash are noticed.
      if (known === undefined) {
        await journal.append({ type: 'version', version, sha256, checkpoint: `checkpoints/${version}` });
      } else if (known.sha256 !== sha256) {
        throw new EspalierError(
          'store',
          `version ${version} of ${directory.path} was recorded with other weights: another build or machine computes ` +
            'other bits, so go on where the run began, or start a new run',
        );
      }
      if (!directory.checkpoints().includes(version)) await engine.save(directory.checkpoint(version));
    },
    [Symbol.asyncDispose]: () => place[Symbol.asyncDispose](),
  };
}

/**
 * Batches that the weights of a checkpoint have learned from: those whose manifest stands before it. One that taught
 * nothing stands at the checkpoint itself and is taken from the record once more, to no effect.
 */
function firstBatchAt(step: number, { journal }: Workplace): number {
  if (step === 0) return 0;
  const learned = journal.index.manifests.filter((manifest) => manifest.step < step);
  const batches = learned.map(({ details }) => Number(details['batch']));
  return Math.max(-1, ...batches) + 1;
}

async function copyModel(from: string, to: string): Promise<void> {
  await writeCheckpoint(to, { ...(await readCheckpoint(from)), optimizer: null });
}
