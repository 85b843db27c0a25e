/**
 * The rows of a run directory that people and scripts read: `metrics.jsonl`, `eval.jsonl`, `summary.json`.
 *
 * Not here: the records that a run resumes from (`store/`), and `config.json`, which is written by `run/`.
 *
 * Invariants:
 * 1. Every row carries `formatVersion`; a row of another version is an error, never a guess.
 * 2. A figure that could not be had is null, never 0.
 * 3. Shares and rates are fractions from 0 to 1. Log-probabilities and entropies are in nats.
 * 4. `seconds` is the wall time of the work that the row describes: the step, the evaluation, the run.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { EspalierError, messageOf } from '../core/errors.ts';

export const formatVersion = 1;
const version = z.literal(formatVersion);

const count = z.int().min(0);
const share = z.number().min(0).max(1);

const metricsRow = z.object({
  formatVersion: version,
  /** Optimizer steps done when this row was written: 1 is the first. */
  step: count,
  /** Policy version that the step made. */
  version: count,
  seconds: z.number().min(0),
  /** Share of the batch's graded rollouts that solved their task; null when none was graded. */
  passRate: share.nullable(),
  /** Mean reward over the same rollouts, before advantages. */
  reward: z.number().nullable(),
  turnsMean: z.number().min(0).nullable(),
  /** Share of turns with two or more tool calls. */
  parallelShare: share.nullable(),
  sampledTokens: count,
  /** Tokens that the trainer computed: nodes of the batch's tries. */
  treeTokens: count.nullable(),
  /** Tokens that flat training would compute with one sample a request. */
  flatTokensPerRequest: count.nullable(),
  /** The same with one sample for each root-to-leaf trajectory. */
  flatTokensMerged: count.nullable(),
  /** Largest |recorded - recomputed| log-probability over the `gapTokens` tokens sampled under the version updated. */
  maxLogprobGap: z.number().min(0).nullable(),
  gapTokens: count,
  retokenizedSampledTokens: count,
  turns: count,
  /** Turns whose ids are exact on both sides. */
  exactTurns: count,
  /** Mean over sampled tokens. */
  entropy: z.number().nullable(),
  clipFraction: share.nullable(),
  /** Groups left out since their rewards were all equal. */
  droppedGroups: count,
  /** Rollouts that infrastructure failed; they were retried or left out. */
  failures: count,
});

const evalRow = z.object({
  formatVersion: version,
  step: count,
  version: count,
  seconds: z.number().min(0),
  /** Last part of the taskset's name: `unseen`, `transfer`. */
  set: z.string().min(1),
  decoding: z.enum(['sampled', 'greedy']),
  passRate: share,
  /** 95% interval of `passRate`: bootstrap, clustered by fragment. */
  low: share.nullable(),
  high: share.nullable(),
  tasks: count,
  rollouts: count,
  turnsMean: z.number().min(0).nullable(),
  parallelShare: share.nullable(),
});

const setSummary = z.object({
  set: evalRow.shape.set,
  decoding: evalRow.shape.decoding,
  first: evalRow,
  last: evalRow,
  /** Pass rate, last minus first, with its 95% interval: paired bootstrap, clustered by fragment. */
  difference: z.number().min(-1).max(1),
  low: z.number().min(-1).max(1).nullable(),
  high: z.number().min(-1).max(1).nullable(),
  /** Share of tasks that at least one of eight rollouts solved; null where it was not measured. */
  passAt8First: share.nullable(),
  passAt8Last: share.nullable(),
});

const summary = z.object({
  formatVersion: version,
  steps: count,
  seconds: z.number().min(0),
  sets: z.array(setSummary),
});

export type MetricsRow = Readonly<z.infer<typeof metricsRow>>;
export type EvalRow = Readonly<z.infer<typeof evalRow>>;
export type SetSummary = Readonly<z.infer<typeof setSummary>>;
export type Summary = Readonly<z.infer<typeof summary>>;

/** The rows of `metrics.jsonl` in file order; empty when there is no such file. */
export const readMetrics = (runDirectory: string): MetricsRow[] =>
  readRows(join(runDirectory, 'metrics.jsonl'), metricsRow);

/** The rows of `eval.jsonl` in file order; empty when there is no such file. */
export const readEvals = (runDirectory: string): EvalRow[] => readRows(join(runDirectory, 'eval.jsonl'), evalRow);

/** `summary.json`, or null when the run has not ended. */
export function readSummary(runDirectory: string): Summary | null {
  const path = join(runDirectory, 'summary.json');
  const text = readIfThere(path);
  return text === null ? null : parseRow(text, summary, path);
}

/** One line of a `.jsonl` file, checked, so that nothing is written that could not be read back. */
export const metricsLine = (row: MetricsRow): string => `${JSON.stringify(metricsRow.parse(row))}\n`;
export const evalLine = (row: EvalRow): string => `${JSON.stringify(evalRow.parse(row))}\n`;
export const summaryText = (value: Summary): string => `${JSON.stringify(summary.parse(value), null, 2)}\n`;

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null;
    throw new EspalierError('store', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

/** A last line without its newline was torn by a crash, so it is not a row. */
function readRows<Schema extends z.ZodType>(path: string, schema: Schema): z.infer<Schema>[] {
  const lines = (readIfThere(path) ?? '').split('\n').slice(0, -1);
  return lines.map((line, index) => parseRow(line, schema, `${path}:${index + 1}`));
}

function parseRow<Schema extends z.ZodType>(text: string, schema: Schema, place: string): z.infer<Schema> {
  const value = parseJson(text, place);
  const found = typeof value === 'object' && value !== null && 'formatVersion' in value ? value.formatVersion : null;
  if (found !== formatVersion) {
    const way = 'read it with the release that wrote it, or start a new run';
    throw new EspalierError(
      'store',
      `${place} has formatVersion ${JSON.stringify(found)}, this release reads ${formatVersion}: ${way}`,
    );
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new EspalierError('store', `${place} is not a valid row: ${issue?.path.join('.')}: ${issue?.message}`, {
    cause: result.error,
  });
}

function parseJson(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new EspalierError('store', `${place} is not JSON: ${messageOf(cause)}`, { cause });
  }
}
