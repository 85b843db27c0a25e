/** Plain text tables of `espalier inspect`: aligned columns, nothing that a model wrote unsanitized. */
import type { Outcome } from '../core/outcome.ts';
import { absent, fixed, whole } from './format.ts';
import { displayWidth, oneLine, pad } from './text.ts';

export interface TableColumn {
  readonly name: string;
  readonly align?: 'left' | 'right';
}

const maxCellColumns = 100;

/** A header, a rule and one line a row. Cells are sanitized and cut to 100 columns. */
export function alignedTable(columns: readonly TableColumn[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((cell) => oneLine(cell, maxCellColumns)));
  const widths = columns.map(({ name }, column) =>
    Math.max(displayWidth(name), ...cells.map((row) => displayWidth(row[column] ?? ''))),
  );
  const line = (row: readonly string[]): string =>
    columns
      .map(({ align }, column) => pad(row[column] ?? '', widths[column] ?? 0, align ?? 'left'))
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '\u2500'.repeat(width)).join('  ');
  return [line(columns.map(({ name }) => name)), rule, ...cells.map(line)].map((text) => `${text}\n`).join('');
}

/** One rollout as `inspect` lists it. */
export interface RolloutFacts {
  readonly rollout: string;
  readonly task: string;
  readonly turns: number;
  readonly toolCalls: number;
  /** Tokens of its last prompt, and all that it sampled. */
  readonly promptTokens: number;
  readonly sampledTokens: number;
  /** null while it is still going on. */
  readonly outcome: Outcome | null;
  /** null when it was not graded. */
  readonly solved: boolean | null;
  readonly reward: number | null;
}

export function outcomeWord(outcome: Outcome | null): string {
  if (outcome === null) return 'open';
  switch (outcome.status) {
    case 'completed':
      return 'completed';
    case 'truncated':
      return `truncated by ${outcome.by}`;
    case 'failed':
      return `failed (${outcome.boundary})`;
    case 'cancelled':
      return 'cancelled';
    default:
      return outcome satisfies never;
  }
}

const right = (name: string): TableColumn => ({ name, align: 'right' });
const yesNo = (value: boolean | null): string => (value === null ? absent : value ? 'yes' : 'no');

export function rolloutTable(rollouts: readonly RolloutFacts[]): string {
  const columns: TableColumn[] = [
    { name: 'rollout' },
    { name: 'task' },
    ...['turns', 'calls', 'prompt', 'sampled'].map(right),
    { name: 'outcome' },
    { name: 'solved' },
    right('reward'),
  ];
  const rows = rollouts.map((one) => [
    one.rollout,
    one.task,
    whole(one.turns),
    whole(one.toolCalls),
    whole(one.promptTokens),
    whole(one.sampledTokens),
    outcomeWord(one.outcome),
    yesNo(one.solved),
    fixed(one.reward, 2),
  ]);
  return alignedTable(columns, rows);
}

/** How often an outcome was, and what it cost. */
export interface OutcomeSum {
  readonly outcome: string;
  readonly rollouts: number;
  readonly solved: number;
  readonly turns: number;
  readonly sampledTokens: number;
}

/** Adds rollouts up by outcome, one after the other. */
export class OutcomeSums {
  readonly #sums = new Map<string, OutcomeSum>();

  add(one: RolloutFacts): void {
    const outcome = outcomeWord(one.outcome);
    const sum = this.#sums.get(outcome);
    this.#sums.set(outcome, {
      outcome,
      rollouts: (sum?.rollouts ?? 0) + 1,
      solved: (sum?.solved ?? 0) + (one.solved ? 1 : 0),
      turns: (sum?.turns ?? 0) + one.turns,
      sampledTokens: (sum?.sampledTokens ?? 0) + one.sampledTokens,
    });
  }

  rows(): OutcomeSum[] {
    return [...this.#sums.values()].sort((a, b) => (a.outcome < b.outcome ? -1 : 1));
  }
}

export function outcomeTable(sums: readonly OutcomeSum[]): string {
  const columns = [{ name: 'outcome' }, ...['rollouts', 'solved', 'turns', 'sampled'].map(right)];
  const rows = sums.map((one) => [
    one.outcome,
    whole(one.rollouts),
    whole(one.solved),
    whole(one.turns),
    whole(one.sampledTokens),
  ]);
  return alignedTable(columns, rows);
}

/** One turn of `inspect --rollout`. */
export interface TurnFacts {
  readonly index: number;
  readonly promptTokens: number;
  /** Prompt tokens that were the ids of earlier turns, reused as they are. */
  readonly reusedTokens: number | null;
  readonly sampledTokens: number;
  readonly toolCalls: readonly string[];
  readonly finishReason: string;
  readonly fidelity: string;
  /** First and last policy version of its tokens, or null where it has none or nobody told. */
  readonly versions: readonly [first: number, last: number] | null;
  readonly meanLogprob: number | null;
}

export function turnTable(turns: readonly TurnFacts[]): string {
  const columns: TableColumn[] = [
    ...['turn', 'prompt', 'reused', 'sampled', 'mean logprob'].map(right),
    ...['version', 'fidelity', 'finish', 'calls'].map((name) => ({ name })),
  ];
  const rows = turns.map((turn) => [
    whole(turn.index),
    whole(turn.promptTokens),
    whole(turn.reusedTokens),
    whole(turn.sampledTokens),
    fixed(turn.meanLogprob, 3),
    versionsText(turn.versions),
    turn.fidelity,
    turn.finishReason,
    turn.toolCalls.join(', '),
  ]);
  return alignedTable(columns, rows);
}

function versionsText(versions: TurnFacts['versions']): string {
  if (versions === null) return absent;
  const [first, last] = versions;
  return first === last ? `${first}` : `${first}-${last}`;
}
