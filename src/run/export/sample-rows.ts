/**
 * A training sample as a row of a table: what `export --format samples` writes, as JSON lines or as Parquet.
 *
 * Not loss terms: advantages are the trainer's, from the rewards of a group. docs/run-directory.md has the columns.
 *
 * Invariant: a reader that takes the numbers of `behaviorLogprobs` as 32-bit floats has the recorded ones, bit for bit.
 */
import type { Fidelity } from '../../core/turn.ts';
import type { TrainingSample } from '../../trajectory/samples.ts';
import type { RecordedTurn } from '../../trajectory/turns.ts';
import type { RolloutNotes } from './rollout-notes.ts';

export const sampleFormat = 1;

/** The four arrays are aligned with each other, or all null where they were left out as they hold a secret. */
export interface SampleRow extends RolloutNotes {
  readonly formatVersion: typeof sampleFormat;
  /** Indexes of the turns whose completions are learned. */
  readonly turns: readonly number[];
  /** The weakest of those turns'. */
  readonly fidelity: Fidelity;
  readonly retokenizedSampledTokens: number;
  readonly redacted: boolean;
  readonly ids: readonly number[] | null;
  readonly lossMask: readonly number[] | null;
  readonly behaviorLogprobs: readonly number[] | null;
  readonly versions: readonly number[] | null;
}

const weakestFirst: readonly Fidelity[] = ['text', 'observed', 'exact'];

/** `turns`: all of the rollout's, `secret`: the ids may not leave. */
export function sampleRow(
  sample: TrainingSample,
  turns: readonly RecordedTurn[],
  notes: RolloutNotes,
  secret: boolean,
): SampleRow {
  const learned = turns.filter(({ index }) => sample.turns.includes(index));
  return {
    formatVersion: sampleFormat,
    ...notes,
    turns: sample.turns,
    fidelity: weakestFirst.find((fidelity) => learned.some((turn) => turn.fidelity === fidelity)) ?? 'text',
    retokenizedSampledTokens: learned.reduce((sum, turn) => sum + turn.retokenizedSampledTokens, 0),
    redacted: secret,
    ids: secret ? null : [...sample.ids],
    lossMask: secret ? null : [...sample.lossMask],
    behaviorLogprobs: secret ? null : shortFloats(sample.behaviorLogprobs),
    versions: secret ? null : [...sample.versions],
  };
}

/** Nine significant digits tell any two 32-bit floats apart, and are half as long as what a double would print. */
export function shortFloats(values: Float32Array): number[] {
  return Array.from(values, (value) => Number(value.toPrecision(9)));
}
