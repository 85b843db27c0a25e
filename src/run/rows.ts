/**
 * The rows that a run writes for people and scripts.
 *
 * Invariants:
 * 1. A row is written once: a resumed run does not repeat those that are there.
 * 2. A line that a crash tore is cut before anything is appended to its file.
 */
import { type EvalRow, type MetricsRow, readEvals, readMetrics } from '../report/rows.ts';
import type { RunView } from '../report/view.ts';
import type { RunDirectory } from './directory.ts';

export class Rows {
  readonly #directory: RunDirectory;
  readonly #view: RunView;
  readonly #metrics: Set<number>;
  readonly #evals: Map<string, EvalRow>;

  constructor(directory: RunDirectory, view: RunView) {
    this.#directory = directory;
    this.#view = view;
    for (const name of ['metrics.jsonl', 'eval.jsonl']) directory.cutTornLine(name);
    this.#metrics = new Set(readMetrics(directory.path).map(({ step }) => step));
    this.#evals = new Map(readEvals(directory.path).map((row) => [evalKey(row), row]));
  }

  async metrics(row: MetricsRow): Promise<void> {
    this.#view.step(row);
    if (this.#metrics.has(row.step)) return;
    this.#metrics.add(row.step);
    await this.#directory.append('metrics.jsonl', row);
  }

  /** Gives the row with the seconds that the evaluation took when it was made, which may have been before a resume. */
  async evaluation(row: EvalRow): Promise<EvalRow> {
    const known = this.#evals.get(evalKey(row));
    const standing = known === undefined ? row : { ...row, seconds: known.seconds };
    this.#view.evaluation(standing);
    if (known !== undefined) return standing;
    this.#evals.set(evalKey(row), row);
    await this.#directory.append('eval.jsonl', row);
    return standing;
  }
}

/** The same weights on the same tasks: when batches taught nothing, two of a run's evaluations may be one. */
const evalKey = ({ step, set, decoding, tasks }: EvalRow): string => `${step}/${set}/${decoding}/${tasks}`;
