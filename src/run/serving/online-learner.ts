/**
 * Learning from agents that someone else runs: finished sessions become groups, groups become optimizer steps, and the
 * server's weights change while agents keep working.
 *
 * Not a trainer of its own: advantages, loss terms and the step are those of a run (learn/stages/rl.ts).
 *
 * Invariants:
 * 1. A step's manifest is durable before the step, the version after it before the next one begins.
 * 2. Groups are learned in the order in which they became complete. A group whose rewards are all equal teaches nothing.
 * 3. A cancelled session is no reward.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../core/errors.ts';
import { type GroupId, policyVersion, type RolloutId } from '../../core/ids.ts';
import type { LocalEngine, TrainResult } from '../../engine/engine.ts';
import { reinforcementOptimizer } from '../../learn/optimizer.ts';
import { defaultRl, logprobGap, type PlannedStep, planSteps } from '../../learn/stages/rl.ts';
import type { Journal } from '../../trajectory/journal.ts';
import { turnsOf } from '../../trajectory/turns.ts';
import { checkpointsOf } from './folder.ts';

export interface LearnOptions {
  /** Finished sessions that make a group complete. */
  readonly groupSize: number;
  /** Complete groups with unequal rewards that make a step. */
  readonly groupsPerStep: number;
  readonly learningRate: number;
  /** Steps between checkpoints; the two newest are kept. */
  readonly checkpointEvery: number;
  readonly seed: number;
}

export interface FinishedSession {
  readonly rollout: RolloutId;
  readonly group: GroupId;
  /** Number of the group: its place in the manifest. */
  readonly draw: number;
  readonly reward: number;
}

interface Learning {
  readonly engine: Pick<LocalEngine, 'train' | 'publish' | 'snapshot' | 'save' | 'version'>;
  readonly journal: Journal;
  /** The run directory. */
  readonly path: string;
  readonly tell: (line: string) => void;
}

const keptCheckpoints = 2;

export class OnlineLearner {
  readonly #options: LearnOptions;
  readonly #with: Learning;
  readonly #groups = new Map<GroupId, FinishedSession[]>();
  #ready: (readonly FinishedSession[])[] = [];
  #steps: Promise<void> = Promise.resolve();
  #unsaved = false;

  constructor(options: LearnOptions, learning: Learning) {
    this.#options = options;
    this.#with = learning;
  }

  /** Takes a finished session whose outcome is durable. The step that it may complete runs by itself. */
  finished(session: FinishedSession): void {
    const group = this.#groups.get(session.group) ?? [];
    this.#groups.set(session.group, group);
    group.push(session);
    if (group.length < this.#options.groupSize) return;
    this.#groups.delete(session.group);
    if (group.every(({ reward }) => reward === group[0]?.reward)) {
      this.#with.tell(`${session.group}: every reward is ${session.reward}, nothing to learn`);
      return;
    }
    this.#ready.push(group);
    if (this.#ready.length < this.#options.groupsPerStep) return;
    const groups = this.#ready;
    this.#ready = [];
    this.#steps = this.#steps
      .then(() => this.#step(groups))
      .catch((failure: unknown) => this.#with.tell(`a step failed, and its groups are lost: ${messageOf(failure)}`));
  }

  /** After the steps that are due; saves what was learned since the last checkpoint. */
  async close(): Promise<void> {
    await this.#steps;
    if (this.#unsaved) await this.#checkpoint();
  }

  async #step(groups: readonly (readonly FinishedSession[])[]): Promise<void> {
    const { engine, journal, tell } = this.#with;
    const before = engine.version;
    await journal.append({
      type: 'manifest',
      step: before,
      version: before,
      groups: groups.map((group) => ({
        group: (group[0] as FinishedSession).group,
        task: (group[0] as FinishedSession).draw,
        rollouts: group.map(({ rollout }) => rollout),
        rewards: group.map(({ reward }) => reward),
      })),
      details: {},
    });
    const [step] = this.#plan(groups, before);
    if (step === undefined) return;
    const result = await engine.train(step.request);
    const version = await engine.publish();
    this.#unsaved = true;
    const saves = version % this.#options.checkpointEvery === 0;
    const { sha256 } = await engine.snapshot();
    if (saves) await this.#checkpoint();
    await journal.append({ type: 'version', version, sha256, checkpoint: saves ? `checkpoints/${version}` : null });
    tell(lineOf(groups, step, result, before));
  }

  #plan(groups: readonly (readonly FinishedSession[])[], firstStep: number): PlannedStep[] {
    const { index } = this.#with.journal;
    const batch = groups.map((group) => ({
      rollouts: group.map(({ rollout, reward }) => ({
        reward,
        passed: reward >= 1,
        turns: turnsOf(index.turns(rollout)),
      })),
    }));
    const optimizer = { ...reinforcementOptimizer, learningRate: this.#options.learningRate };
    const place = { seed: this.#options.seed, firstStep, steps: Number.MAX_SAFE_INTEGER };
    return planSteps(batch, { ...defaultRl, stepsPerBatch: 1, optimizer }, place);
  }

  async #checkpoint(): Promise<void> {
    const { engine, path } = this.#with;
    const folder = (version: number) => join(path, 'checkpoints', String(version));
    await mkdir(join(path, 'checkpoints'), { recursive: true });
    await engine.save(folder(engine.version), 'weights and optimizer');
    this.#unsaved = false;
    const old = checkpointsOf(path).slice(keptCheckpoints);
    await Promise.all(old.map((version) => rm(folder(version), { recursive: true, force: true })));
  }
}

function lineOf(
  groups: readonly (readonly FinishedSession[])[],
  step: PlannedStep,
  result: TrainResult,
  updated: number,
): string {
  const rewards = groups.flat().map(({ reward }) => reward);
  const mean = rewards.reduce((sum, reward) => sum + reward, 0) / rewards.length;
  const { sampledTokens, treeTokens, flatTokensPerRequest } = step.figures;
  const { maxLogprobGap } = logprobGap(step, result, policyVersion(updated));
  return [
    `version ${result.version}: reward ${mean.toFixed(3)} of ${rewards.length} sessions`,
    `${sampledTokens} tokens learned, ${treeTokens} computed for ${flatTokensPerRequest}`,
    `gap ${maxLogprobGap ?? '–'}`,
  ].join(', ');
}
