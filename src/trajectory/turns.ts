/**
 * Turns with their whole prompts, put together again from the records.
 *
 * Pure; memory of one rollout's turns is their flat size, so ask for one rollout at a time.
 */
import { EspalierError } from '../core/errors.ts';
import { type RolloutId, sessionId, turnId } from '../core/ids.ts';
import type { Turn } from '../core/turn.ts';
import type { TurnRecord } from './records.ts';

/** A turn and where its prompt comes from. */
export interface RecordedTurn extends Turn {
  readonly rollout: RolloutId;
  /** Index of the turn whose first `reused` tokens begin this prompt, or null. */
  readonly parent: number | null;
  readonly reused: number;
}

/** Prompt and completion: shape [prompt + completion]. */
export function pathOf(turn: Pick<Turn, 'prompt' | 'completion'>): Int32Array {
  return joined(turn.prompt, turn.completion);
}

export function joined(...parts: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/**
 * The turns of one rollout, by index. `records` are all of that rollout's, in the order of the store.
 *
 * Throws EspalierError('store') when a record's parent is missing.
 */
export function turnsOf(records: readonly TurnRecord[]): RecordedTurn[] {
  const paths = new Map<number, Int32Array>();
  const turns = records.map((record): RecordedTurn => {
    const prompt = promptOf(record, paths);
    paths.set(record.index, joined(prompt, record.completion));
    return recordedTurn(record, prompt);
  });
  return turns.sort((a, b) => a.index - b.index);
}

/** `paths`: prompt and completion of the earlier turns, by index. */
export function promptOf(record: TurnRecord, paths: ReadonlyMap<number, Int32Array>): Int32Array {
  if (record.parent === null) return record.tail;
  const path = paths.get(record.parent);
  if (path === undefined || path.length < record.reused) throw parentMissing(record);
  return joined(path.subarray(0, record.reused), record.tail);
}

/** Of a record whose parent is not there, or shorter than what it takes from it. */
export function parentMissing(record: TurnRecord): EspalierError {
  return new EspalierError(
    'store',
    `turn ${record.index} of ${record.rollout} continues turn ${record.parent}, which is not recorded before it`,
  );
}

function recordedTurn(record: TurnRecord, prompt: Int32Array): RecordedTurn {
  return {
    id: turnId(record.rollout, record.index),
    session: sessionId(record.rollout),
    rollout: record.rollout,
    index: record.index,
    parent: record.parent,
    reused: record.reused,
    prompt,
    completion: record.completion,
    behaviorLogprobs: record.behaviorLogprobs,
    entropies: record.entropies,
    versions: record.versions,
    finishReason: record.finishReason,
    fidelity: record.fidelity,
    toolCallCount: record.toolCallCount,
    retokenizedSampledTokens: record.retokenizedSampledTokens,
  };
}
