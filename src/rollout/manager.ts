/**
 * The rollout manager: what runs, how much of it at once, and when a batch is complete.
 *
 * Not here: what one rollout does (`rollout.ts`), what is learned from it, when weights change.
 *
 * Invariants:
 * 1. A batch does not depend on timing. Groups are launched in draw order; one more is launched for each that ends
 *    without signal. So draw L is launched only when the L - 1 before it can hold at most `groups` - 1 informative ones,
 *    and the number of draws is the least L such that the first L hold `groups` informative ones (or `maxDraws`). Every
 *    launched rollout runs to its end, and results stand in draw order.
 * 2. At most `concurrency` rollouts run at once, over all groups; they start in draw order.
 * 3. When this returns or throws, no rollout is running.
 * 4. A rollout is reported once, when it has ended; one that was cancelled, that stops the run, or that was found in the
 *    record, is not.
 */
import { EspalierError } from '../core/errors.ts';
import { groupId, type RolloutId } from '../core/ids.ts';
import type { Task } from '../core/task.ts';
import { type FinishedGroup, groupJobs, standingOf } from './group.ts';
import {
  type FinishedRollout,
  type RolloutJob,
  type RolloutServices,
  type RolloutSettings,
  runRollout,
} from './rollout.ts';
import { Slots } from './slots.ts';

/** What collecting and evaluating share. */
export interface ManagerOptions {
  readonly services: RolloutServices;
  readonly settings: RolloutSettings;
  readonly runSeed: string | number;
  /** Rollouts at once. */
  readonly concurrency: number;
  /** Groups that infrastructure may take before it counts as broken, and this throws. */
  readonly maxFailures: number;
  readonly signal: AbortSignal;
  /** A rollout that an earlier process of this run finished: it is not run again. */
  readonly recorded?: (rollout: RolloutId) => FinishedRollout | undefined;
  /** Awaited before the rollout's group counts as ended, so that a record is durable first. */
  readonly onRollout?: (rollout: FinishedRollout) => void | Promise<void>;
}

export interface CollectOptions extends ManagerOptions {
  /** What draws the groups, e.g. `batch/7`. */
  readonly scope: string;
  /** The task of draw d, from 0. Pure. */
  readonly draw: (draw: number) => Task;
  /** Informative groups that make the batch. */
  readonly groups: number;
  readonly groupSize: number;
  /** Draws at most: a batch may end smaller, as when the policy solves everything. */
  readonly maxDraws: number;
}

export interface CollectedBatch {
  /** In draw order; `groups` of them unless `maxDraws` came first. */
  readonly informative: readonly FinishedGroup[];
  /** Every launched group, in draw order. */
  readonly launched: readonly FinishedGroup[];
  /** Groups without signal. */
  readonly droppedGroups: number;
  /** Rollouts that infrastructure failed, after their retries. */
  readonly failures: number;
}

/**
 * Runs groups until enough are informative. Throws the signal's reason when it is aborted, and EspalierError with the
 * boundary of the last failure when infrastructure took more than `maxFailures` groups or nothing can be kept.
 */
export async function collectBatch(options: CollectOptions): Promise<CollectedBatch> {
  const crew = new Crew(options);
  const ended: FinishedGroup[] = [];
  const running = new Map<number, Promise<number>>();
  let launched = 0;
  let withoutSignal = 0;
  for (;;) {
    while (!crew.stopped && launched < Math.min(options.maxDraws, options.groups + withoutSignal)) {
      const draw = launched++;
      running.set(
        draw,
        crew.group(options.scope, draw, options.draw(draw), options.groupSize).then((group) => {
          ended[draw] = group;
          return draw;
        }),
      );
    }
    if (running.size === 0) break;
    const draw = await Promise.race(running.values());
    running.delete(draw);
    const group = ended[draw];
    if (group !== undefined && standingOf(group) !== 'informative') withoutSignal++;
  }
  crew.close();
  return {
    informative: ended.filter((group) => standingOf(group) === 'informative'),
    launched: ended,
    droppedGroups: ended.filter((group) => standingOf(group) === 'equal').length,
    failures: failuresOf(ended),
  };
}

export interface EvaluateOptions extends ManagerOptions {
  /** e.g. `eval/4/unseen/sampled`. */
  readonly scope: string;
  readonly tasks: readonly Task[];
  readonly rolloutsPerTask: number;
}

/** Runs every task as often as asked. One group a task, in order. Throws as `collectBatch` does. */
export async function evaluate(
  options: EvaluateOptions,
): Promise<{ readonly groups: readonly FinishedGroup[]; readonly failures: number }> {
  const crew = new Crew(options);
  const groups = await Promise.all(
    options.tasks.map((task, index) => crew.group(options.scope, index, task, options.rolloutsPerTask)),
  );
  crew.close();
  return { groups, failures: failuresOf(groups) };
}

function failuresOf(groups: readonly FinishedGroup[]): number {
  return groups.flatMap((group) => group.rollouts).filter(({ outcome }) => outcome.status === 'failed').length;
}

/** Runs rollouts in bounded number and stops them all when one failure is too many. Lives for one batch. */
class Crew {
  readonly #options: ManagerOptions;
  readonly #slots: Slots;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  #failedGroups = 0;

  constructor(options: ManagerOptions) {
    this.#options = options;
    this.#slots = new Slots(options.concurrency);
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal]);
  }

  get stopped(): boolean {
    return this.#signal.aborted;
  }

  /** Throws why the batch was stopped, if it was. Called when nothing runs any more. */
  close(): void {
    if (this.#signal.aborted) throw this.#signal.reason;
  }

  async group(scope: string, draw: number, task: Task, size: number): Promise<FinishedGroup> {
    const id = groupId(scope, draw);
    const jobs = groupJobs(id, task, size, {
      runSeed: this.#options.runSeed,
      settings: this.#options.settings,
      signal: this.#signal,
    });
    const rollouts = await Promise.all(jobs.map((job) => this.#slots.run(() => this.#rollout(job))));
    const group = { id, task, rollouts };
    if (standingOf(group) === 'failed') this.#countFailed(group);
    return group;
  }

  async #rollout(job: RolloutJob): Promise<FinishedRollout> {
    const recorded = this.#options.recorded?.(job.id);
    if (recorded !== undefined) return recorded;
    const finished = await runRollout(this.#options.services, job);
    const { outcome } = finished;
    if (outcome.status === 'cancelled') return finished;
    if (outcome.status === 'failed' && (outcome.boundary === 'store' || outcome.boundary === 'config')) {
      this.#stop.abort(new EspalierError(outcome.boundary, outcome.message));
      return finished;
    }
    try {
      await this.#options.onRollout?.(finished);
    } catch (thrown) {
      this.#stop.abort(thrown);
    }
    return finished;
  }

  #countFailed(group: FinishedGroup): void {
    this.#failedGroups++;
    const failure = group.rollouts.map(({ outcome }) => outcome).findLast(({ status }) => status === 'failed');
    if (failure?.status !== 'failed') return;
    if (this.#failedGroups <= this.#options.maxFailures) return;
    this.#stop.abort(
      new EspalierError(
        failure.boundary,
        `infrastructure failed ${this.#failedGroups} groups, at last ${group.id}: ${failure.message}`,
      ),
    );
  }
}
