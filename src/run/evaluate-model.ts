/** `espalier eval`: a model folder on fixed tasks, through the real proxy and the real sandboxes. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Truncation } from '../core/truncation.ts';
import { passAtK, passRate } from '../learn/statistics.ts';
import { workFigures } from '../rollout/evaluation.ts';
import { resolveConfig } from './config.ts';
import { RunDirectory } from './directory.ts';
import { evaluateHeldOut, setName } from './held-out.ts';
import { onInterrupt } from './interrupt.ts';
import { parseTasks } from './tasksets.ts';
import { openWorkplace } from './workplace.ts';

export interface EvaluateOptions {
  /** A model folder, or a run directory: its newest checkpoint. */
  readonly model: string;
  readonly tasks: string;
  readonly rollouts: number;
  readonly greedy: boolean;
  /** Not given: every token may be drawn. */
  readonly truncation?: Truncation;
  readonly seed: number;
}

export interface EvaluationResult {
  readonly model: string;
  readonly set: string;
  readonly decoding: 'sampled' | 'greedy';
  readonly tasks: number;
  readonly rollouts: number;
  /** With its 95% interval, clustered by fragment. */
  readonly passRate: number;
  readonly low: number;
  readonly high: number;
  /** pass@k for the largest k of 8 and fewer that the rollouts allow; null for one rollout a task. */
  readonly passAtK: { readonly k: number; readonly value: number } | null;
  readonly turnsMean: number;
  readonly parallelShare: number;
  readonly truncated: number;
  readonly failures: number;
  readonly seconds: number;
  /** All of it in one line. */
  readonly text: string;
}

export async function evaluateModel(options: EvaluateOptions): Promise<EvaluationResult> {
  const { taskset, tasks } = parseTasks(options.tasks);
  const config = resolveConfig({ seed: options.seed, evaluation: { ...options.truncation } }, 'espalier eval');
  const model = modelFolder(options.model);
  const scratch = await mkdtemp(join(tmpdir(), 'espalier-eval-'));
  try {
    using interrupt = onInterrupt();
    await using place = await openWorkplace({
      config,
      model,
      version: 0,
      optimizer: 'fresh',
      runDirectory: scratch,
      signal: interrupt.signal,
    });
    const decoding = options.greedy ? 'greedy' : 'sampled';
    const set = setName(taskset);
    const result = await evaluateHeldOut(
      { taskset, decoding, tasks, rolloutsPerTask: options.rollouts, scope: `eval/${set}/${decoding}` },
      place.manager({ trainable: false, temperature: options.greedy ? 0 : 1 }),
    );
    const { value, low, high } = passRate(result.results);
    const figures = workFigures(result.groups);
    const k = Math.min(8, options.rollouts);
    const atK = k > 1 ? passAtK(result.results, k) : null;
    const facts = {
      model,
      set,
      decoding,
      tasks,
      rollouts: figures.rollouts,
      passRate: value,
      low,
      high,
      passAtK: atK === null ? null : { k, value: atK },
      turnsMean: figures.turnsMean,
      parallelShare: figures.parallelShare,
      truncated: figures.truncated,
      failures: result.failures,
      seconds: result.seconds,
    } as const;
    return { ...facts, text: lineOf(facts) };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** A run directory stands for its newest checkpoint. */
export function modelFolder(path: string): string {
  if (!existsSync(join(path, 'checkpoints')) || !existsSync(join(path, 'config.json'))) return path;
  const run = RunDirectory.open(path);
  const newest = run.checkpoints().at(-1);
  return newest === undefined ? path : run.checkpoint(newest);
}

function lineOf(result: Omit<EvaluationResult, 'text'>): string {
  const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;
  return [
    `${result.set} ${result.decoding}: ${percent(result.passRate)} (95% ${percent(result.low)} to ${percent(result.high)})`,
    `${result.tasks} tasks x ${result.rollouts / result.tasks}`,
    ...(result.passAtK === null ? [] : [`pass@${result.passAtK.k} ${percent(result.passAtK.value)}`]),
    `${result.turnsMean.toFixed(2)} turns`,
    `${percent(result.parallelShare)} of turns with several calls`,
    `${result.truncated} truncated, ${result.failures} failed`,
    `${result.seconds.toFixed(0)} s`,
  ].join(', ');
}
