/** The end of a run: summary.json, report.html, and the last words on the terminal. */
import { cpus } from 'node:os';
import { relative } from 'node:path';
import type { Task } from '../core/task.ts';
import { type Example, writeReport } from '../report/report.ts';
import { readEvals, readMetrics, summaryText } from '../report/rows.ts';
import type { Transcript } from '../report/transcript.ts';
import { passed } from '../rollout/evaluation.ts';
import type { FinishedRollout } from '../rollout/rollout.ts';
import { messagesOf } from '../trajectory/transcript.ts';
import { type Point, summaryOf } from './curve.ts';
import type { Run } from './open-run.ts';

export async function finishRun(run: Run, first: readonly Point[], last: readonly Point[]): Promise<void> {
  const { config, directory, engine, view } = run;
  const metrics = readMetrics(directory.path);
  const evaluations = readEvals(directory.path);
  const seconds = [...metrics, ...evaluations].reduce((sum, row) => sum + row.seconds, 0);
  const summary = summaryOf(first, last, { steps: engine.version, seconds });
  await directory.write('summary.json', summaryText(summary));
  const report = writeReport(directory.path, {
    name: config.name,
    facts: [
      { name: 'model', value: config.model },
      { name: 'tasks', value: config.tasks },
      { name: 'seed', value: String(config.seed) },
      { name: 'batch', value: `${config.rollout.groupsPerBatch} groups of ${config.rollout.groupSize}` },
      { name: 'price a turn', value: String(config.learn.turnPrice) },
      { name: 'control', value: config.learn.control },
      { name: 'machine', value: `${cpus().length} cores, ${cpus()[0]?.model.trim() ?? 'unknown'}` },
    ],
    metrics,
    evaluations,
    summary,
    example: exampleOf(run, first, last),
  });
  view.end({ summary, lines: [`report: ${relative(process.cwd(), report)}`] });
}

/** A held-out task that the model failed before and solved after; preferably one that needed a real search. */
function exampleOf(run: Run, first: readonly Point[], last: readonly Point[]): Example | null {
  const pairs = ['transfer', ...run.config.evaluation.sets.map((set) => set.slice(set.lastIndexOf('/') + 1))].flatMap(
    (set) => {
      const of = (points: readonly Point[]) =>
        points.find(({ row }) => row.set === set && row.decoding === 'sampled')?.groups ?? [];
      const after = of(last);
      return of(first).flatMap((group, at) => {
        const before = group.rollouts[0];
        const solved = after[at]?.rollouts[0];
        return before && solved ? [{ task: group.task, before, after: solved }] : [];
      });
    },
  );
  const learned = pairs.filter(({ before, after }) => !passed(before) && passed(after) && before.facts !== null);
  const best = learned.toSorted((a, b) => distance(a.after) - distance(b.after))[0] ?? pairs[0];
  return best === undefined ? null : example(run, best.task, best.before, best.after);
}

/** From a rollout that fits a screen and still shows a search. */
function distance({ facts }: FinishedRollout): number {
  return Math.abs((facts?.turns ?? 0) - 7);
}

function example(run: Run, task: Task, before: FinishedRollout, after: FinishedRollout): Example {
  const transcript = (rollout: FinishedRollout): Transcript => ({
    rollout: rollout.id,
    version: run.journal.index.turns(rollout.id)[0]?.versions[0] ?? 0,
    messages: messagesOf(run.journal.index, rollout.id),
    outcome: rollout.outcome,
    verdict: rollout.verdict,
  });
  return { task: task.id, statement: task.statement, before: transcript(before), after: transcript(after) };
}
