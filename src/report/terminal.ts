/**
 * The live view: one frame that is redrawn in place, notes scrolling away above it.
 *
 * Not here: what a frame looks like (`frame.ts`), and what Ctrl-C does to the run (`run/`).
 *
 * Invariants:
 * 1. At most five frames a second, each in one write, so that a terminal never shows half of one.
 * 2. The cursor is visible again after `end`, when the process exits, and when a signal kills it.
 * 3. The view never keeps the process alive, and draws nothing after `end`.
 */
import picocolors from 'picocolors';
import { type Clock, systemClock } from '../core/clock.ts';
import { type FrameState, type Passing, renderFrame } from './frame.ts';
import { passingTurns } from './passing.ts';
import { plainView, summaryLines } from './plain.ts';
import type { EvalRow, MetricsRow } from './rows.ts';
import { oneLine } from './text.ts';
import type { RunInfo, RunView, TextStream } from './view.ts';

const [hideCursor, showCursor] = ['\u001b[?25l', '\u001b[?25h'];
/** Terminals that know synchronized output show what is between these at once; others ignore them. */
const [beginFrame, endFrame] = ['\u001b[?2026h', '\u001b[?2026l'];
const [clearLine, clearBelow, clearAll] = ['\u001b[K', '\u001b[J', '\u001b[H\u001b[J'];

export const frameMs = 200;
/** Frames between two turns of the passing transcript, and frames that a finished one stays. */
const [framesPerTurn, framesToStay] = [2, 8];
/** The clock and the time left move although nothing happened. */
const framesPerClock = 5;

export interface TerminalOptions {
  readonly clock?: Clock;
  readonly color?: boolean;
  /** Calls `tick` every `ms` until the returned function is called. */
  readonly every?: (ms: number, tick: () => void) => () => void;
}

/** The process variables that say whether someone watches. `process.env` is one. */
export interface Environment {
  readonly TERM?: string | undefined;
  readonly CI?: string | undefined;
}

/** The live view where the stream is a terminal that can be redrawn, plain lines elsewhere. */
export function viewFor(stream: TextStream, environment: Environment): RunView {
  const live = stream.isTTY === true && environment.TERM !== 'dumb' && environment.CI === undefined;
  return live ? terminalView(stream) : plainView(stream);
}

const everyUnref = (ms: number, tick: () => void): (() => void) => {
  const timer = setInterval(tick, ms).unref();
  return () => clearInterval(timer);
};

export function terminalView(stream: TextStream, options: TerminalOptions = {}): RunView {
  const { clock = systemClock, every = everyUnref } = options;
  const colors = picocolors.createColors(options.color ?? picocolors.isColorSupported);
  const metrics: MetricsRow[] = [];
  const evaluations: EvalRow[] = [];
  const notes: string[] = [];
  const canvas = new Canvas(stream);
  const passing = new PassingQueue();
  let live: { readonly info: RunInfo; readonly startedMs: number; readonly stop: () => void } | null = null;
  let [changed, frames] = [true, 0];

  const columns = (): number => stream.columns ?? 80;
  const draw = (): void => {
    if (live === null) return;
    const elapsedSeconds = (clock.now() - live.startedMs) / 1000;
    const state: FrameState = { info: live.info, metrics, evaluations, elapsedSeconds, passing: passing.current };
    const size = { columns: columns(), rows: stream.rows ?? 24 };
    canvas.draw(notes.splice(0), renderFrame(state, size, colors), size.columns);
    changed = false;
  };
  const tick = (): void => {
    frames += 1;
    if (passing.advance()) changed = true;
    if (changed || frames % framesPerClock === 0) draw();
  };

  return {
    start(info) {
      const restore = restoreOnExit(() => stream.write(showCursor));
      const stopTicking = every(frameMs, tick);
      const stop = (): void => {
        stopTicking();
        restore();
      };
      live = { info, startedMs: clock.now(), stop };
      stream.write(hideCursor);
      draw();
    },
    rollout(view) {
      passing.offer(() => ({ rollout: view.rollout, turns: passingTurns(view), shown: 0, solved: view.solved }));
    },
    step(row) {
      metrics.push(row);
      changed = true;
    },
    evaluation(row) {
      evaluations.push(row);
      changed = true;
    },
    note(line) {
      notes.push(oneLine(line, columns() - 1));
      changed = true;
    },
    end({ summary, lines }) {
      draw();
      live?.stop();
      live = null;
      // Notes are left when the run failed before it started.
      const last = [
        ...notes.splice(0),
        ...(summary === null ? [] : summaryLines(summary)),
        ...lines.map((line) => oneLine(line, 400)),
      ];
      stream.write(`${showCursor}${['', ...last].join('\n')}\n`);
    },
  };
}

/** Draws each frame over the last one. */
class Canvas {
  readonly #stream: TextStream;
  #height = 0;
  #columns = 0;
  constructor(stream: TextStream) {
    this.#stream = stream;
  }

  /** `scrolled` lines are written above the frame and stay there. */
  draw(scrolled: readonly string[], frame: readonly string[], columns: number): void {
    // After a change of width the terminal has wrapped the old frame as it liked: nothing is known about it.
    const resized = this.#columns !== 0 && this.#columns !== columns;
    const up = this.#height > 0 ? `\r\u001b[${this.#height}A` : '';
    const lines = [...scrolled, ...frame].map((line) => `${line}${clearLine}\n`);
    this.#stream.write([beginFrame, resized ? clearAll : up, ...lines, clearBelow, endFrame].join(''));
    this.#height = frame.length;
    this.#columns = columns;
  }
}

/** Lets one transcript pass after the other; those that come while one passes are not shown. */
class PassingQueue {
  current: Passing | null = null;
  #next: (() => Passing) | null = null;
  #frames = 0;

  offer(next: () => Passing): void {
    this.#next = next;
  }

  /** One frame on; true when something else is to be seen. */
  advance(): boolean {
    this.#frames += 1;
    const current = this.current;
    if (current !== null && current.shown < current.turns.length) {
      if (this.#frames % framesPerTurn !== 0) return false;
      this.current = { ...current, shown: current.shown + 1 };
      this.#frames = 0;
      return true;
    }
    if (this.#next === null || (current !== null && this.#frames < framesToStay)) return false;
    this.current = this.#next();
    this.#next = null;
    this.#frames = 0;
    return true;
  }
}

/** Runs `restore` when the process exits or is killed by a signal; the returned function takes that back. */
function restoreOnExit(restore: () => void): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const release = (): void => {
    process.off('exit', restore);
    for (const signal of signals) process.off(signal, onSignal);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    // With another listener the run decides what a signal means, and `end` or the exit will follow.
    if (process.listenerCount(signal) > 1) return;
    release();
    restore();
    process.kill(process.pid, signal);
  };
  process.on('exit', restore);
  for (const signal of signals) process.on(signal, onSignal);
  return release;
}
