/** What a run tells whoever watches it. `run/` calls, the terminal views show; both ends know only this. */
import type { Message } from '../core/message.ts';
import type { EvalRow, MetricsRow, Summary } from './rows.ts';

export interface RunInfo {
  /** Printed above everything, e.g. `start`. */
  readonly name: string;
  /** Where the run directory is, as the user would type it. */
  readonly directory: string;
  /** The model in a few words, e.g. `models/seedling, 1.0 M parameters`. */
  readonly model: string;
  readonly seed: number;
  /** Optimizer steps that the whole run takes, and those that are done already when it is resumed. */
  readonly steps: number;
  readonly stepsDone: number;
  /** What the user would type to go on after an interruption; shown while the run lives. */
  readonly resumeCommand: string;
}

/** One rollout that has ended. */
export interface RolloutView {
  readonly rollout: string;
  readonly messages: readonly Message[];
  /** null when it was not graded. */
  readonly solved: boolean | null;
}

/**
 * Calls come in this order: `start` once, then any of the middle ones, then `end` once. None may throw or block: a view
 * is never a reason for a run to fail. `end` gives the terminal back.
 */
export interface RunView {
  start(info: RunInfo): void;
  rollout(view: RolloutView): void;
  step(row: MetricsRow): void;
  evaluation(row: EvalRow): void;
  /** A line that must not be lost: a warning, a retry, a checkpoint that was written. */
  note(line: string): void;
  end(ending: RunEnding): void;
}

export interface RunEnding {
  /** null when the run was interrupted or failed before its last step. */
  readonly summary: Summary | null;
  /** What the user should read last, one a line: where the report is, or how to resume. */
  readonly lines: readonly string[];
}

/** The part of a writable stream that views use; `process.stdout` is one. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}
