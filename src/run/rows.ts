/** The rows that a run writes for people and scripts, each once: a resumed run does not repeat those that are there. */
import { type EvalRow, type MetricsRow, readEvals, readMetrics } from '../report/rows.ts';
import type { RunView } from '../report/view.ts';
import type { RunDirectory } from './directory.ts';

export class Rows {
  readonly #directory: RunDirectory;
  readonly #view: RunView;
  readonly #metrics: Set<number>;
  readonly #evals: Set<string>;

  constructor(directory: RunDirectory, view: RunView) {
    this.#directory = directory;
    this.#view = view;
    this.#metrics = new Set(readMetrics(directory.path).map(({ step }) => step));
    this.#evals = new Set(readEvals(directory.path).map(evalKey));
  }

  async metrics(row: MetricsRow): Promise<void> {
    this.#view.step(row);
    if (this.#metrics.has(row.step)) return;
    this.#metrics.add(row.step);
    await this.#directory.append('metrics.jsonl', row);
  }

  async evaluation(row: EvalRow): Promise<void> {
    this.#view.evaluation(row);
    if (this.#evals.has(evalKey(row))) return;
    this.#evals.add(evalKey(row));
    await this.#directory.append('eval.jsonl', row);
  }
}

const evalKey = ({ step, set, decoding }: EvalRow): string => `${step}/${set}/${decoding}`;
