/** The view for pipes, files and CI: one line a step and an evaluation, nothing redrawn, no color. */
import { duration, fixed, gap, percent, points, ratio, whole } from './format.ts';
import type { EvalRow, MetricsRow, Summary } from './rows.ts';
import { oneLine } from './text.ts';
import type { RunView, TextStream } from './view.ts';

const noteColumns = 400;

export function plainView(stream: TextStream): RunView {
  let steps = 0;
  const say = (line: string): void => void stream.write(`${line}\n`);
  return {
    start(info) {
      steps = info.steps;
      const from = info.stepsDone > 0 ? `, resumed after step ${info.stepsDone}` : '';
      say(`run ${info.name} in ${info.directory}: ${info.model}, seed ${info.seed}, ${info.steps} steps${from}`);
    },
    rollout() {},
    step: (row) => say(stepLine(row, steps)),
    evaluation: (row) => say(evaluationLine(row)),
    note: (line) => say(oneLine(line, noteColumns)),
    end({ summary, lines }) {
      for (const line of summary === null ? [] : summaryLines(summary)) say(line);
      for (const line of lines) say(oneLine(line, noteColumns));
    },
  };
}

export function stepLine(row: MetricsRow, steps: number): string {
  const parts = [
    `step ${String(row.step).padStart(String(steps).length)}/${steps}`,
    `pass ${percent(row.passRate).padStart(4)}`,
    `turns ${fixed(row.turnsMean, 2)}`,
    `parallel ${percent(row.parallelShare).padStart(3)}`,
    `${whole(ratio(row.sampledTokens, row.seconds))} tokens/s sampled`,
    `${whole(ratio(row.treeTokens, row.seconds))} trained`,
    `gap ${gap(row.maxLogprobGap)}`,
    `${row.seconds.toFixed(1)} s`,
  ];
  return parts.join('  ');
}

export function evaluationLine(row: EvalRow): string {
  const interval = row.low === null || row.high === null ? '' : ` [${percent(row.low, 1)}, ${percent(row.high, 1)}]`;
  const parts = [
    `eval ${row.step}`,
    `${row.set} ${row.decoding}`.padEnd('transfer sampled'.length),
    `${percent(row.passRate, 1)}${interval}`,
    `turns ${fixed(row.turnsMean, 2)}`,
    `parallel ${percent(row.parallelShare)}`,
    `${row.rollouts} rollouts of ${row.tasks} tasks`,
    `${row.seconds.toFixed(1)} s`,
  ];
  return parts.join('  ');
}

/** First against last evaluation of each set. */
export function summaryLines({ sets, steps, seconds }: Summary): string[] {
  const lines = sets.map((row) => {
    const interval = row.low === null || row.high === null ? '' : ` (95% ${points(row.low)} to ${points(row.high)})`;
    const name = `${row.set} ${row.decoding}`.padEnd('transfer sampled'.length);
    const [first, last] = [percent(row.first.passRate, 1), percent(row.last.passRate, 1)];
    return `${name}  ${first.padStart(6)} -> ${last.padStart(6)}  ${points(row.difference)} points${interval}`;
  });
  return [...lines, `${steps} steps in ${duration(seconds)}`];
}
