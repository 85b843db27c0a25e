/**
 * One completion from a sampler, whatever happens to the weights in between.
 *
 * Invariants:
 * 1. A pause (new weights) is invisible: sampling goes on from prompt + what is there, with the budget that is left.
 *    Seeds count positions from the start of the prompt, so the draws are those of an undisturbed request.
 * 2. Nothing is returned but a completion that ended by itself or at its limit.
 */
import { EspalierError, messageOf } from '../core/errors.ts';
import { noTruncation, type Truncation, truncates } from '../core/truncation.ts';
import type { GenerateEvent, Sampler } from '../engine/engine.ts';

export interface SampleJob {
  readonly prompt: Int32Array;
  readonly maxTokens: number;
  readonly temperature: number;
  /** Not given: every token may be drawn. */
  readonly truncation?: Truncation;
  readonly stopIds: readonly number[];
  readonly seed: bigint;
  /** Of requests that begin alike: the session. */
  readonly affinity?: string;
  readonly signal: AbortSignal;
  /** Called with each piece as it comes. A number ends the completion after so many of its ids. */
  readonly onTokens?: ((ids: Int32Array) => number | null) | undefined;
}

/** All arrays are aligned: element i belongs to sampled token i. Entropies are NaN where the engine gave none. */
export interface SampledCompletion {
  readonly ids: Int32Array;
  readonly logprobs: Float32Array;
  readonly entropies: Float32Array;
  readonly versions: Int32Array;
  readonly reason: 'stop' | 'length';
}

type Piece = Extract<GenerateEvent, { type: 'tokens' }>;

/** Throws EspalierError('provider') when the engine fails, and the signal's reason when it is aborted. */
export async function sampleCompletion(sampler: Sampler, job: SampleJob): Promise<SampledCompletion> {
  const pieces: Piece[] = [];
  let count = 0;
  for (;;) {
    const end = await sampleUntilEnd(sampler, job, pieces, count);
    job.signal.throwIfAborted();
    count = pieces.reduce((sum, piece) => sum + piece.ids.length, 0);
    switch (end.reason) {
      case 'stop':
      case 'length':
        return { ...joinPieces(pieces, count), reason: end.reason };
      case 'failed':
        throw new EspalierError('provider', `the engine failed: ${end.message}`);
      case 'paused':
        if (count >= job.maxTokens) return { ...joinPieces(pieces, count), reason: 'length' };
        // A sampler that pauses without a token must not keep this loop from letting others run.
        await new Promise(setImmediate);
        break;
      default:
        end satisfies never;
    }
  }
}

async function sampleUntilEnd(
  sampler: Sampler,
  job: SampleJob,
  pieces: Piece[],
  count: number,
): Promise<Extract<GenerateEvent, { type: 'end' }>> {
  const { temperature, truncation = noTruncation, stopIds, seed, affinity, signal } = job;
  const ids = count === 0 ? job.prompt : continued(job.prompt, pieces, count);
  const sampling = {
    temperature,
    ...(truncates(truncation) && { truncation }),
    stopIds,
    maxTokens: job.maxTokens - count,
  };
  try {
    for await (const event of sampler.generate({
      ids,
      sampling,
      seed,
      signal,
      ...(affinity !== undefined && { affinity }),
    })) {
      if (event.type === 'end') return event;
      const end = job.onTokens?.(event.ids) ?? null;
      pieces.push(end === null ? event : beginningOf(event, end));
      if (end !== null) return { type: 'end', reason: 'stop' };
    }
  } catch (cause) {
    signal.throwIfAborted();
    throw new EspalierError('provider', `the engine failed: ${messageOf(cause)}`, { cause });
  }
  return { type: 'end', reason: 'failed', message: 'its stream ended without an end event' };
}

function beginningOf(piece: Piece, length: number): Piece {
  return {
    ...piece,
    ids: piece.ids.subarray(0, length),
    logprobs: piece.logprobs.subarray(0, length),
    entropies: piece.entropies?.subarray(0, length) ?? null,
  };
}

function continued(prompt: Int32Array, pieces: readonly Piece[], count: number): Int32Array {
  const ids = new Int32Array(prompt.length + count);
  ids.set(prompt);
  let at = prompt.length;
  for (const piece of pieces) {
    ids.set(piece.ids, at);
    at += piece.ids.length;
  }
  return ids;
}

function joinPieces(pieces: readonly Piece[], count: number): Omit<SampledCompletion, 'reason'> {
  const ids = new Int32Array(count);
  const logprobs = new Float32Array(count);
  const entropies = new Float32Array(count);
  const versions = new Int32Array(count);
  let at = 0;
  for (const piece of pieces) {
    ids.set(piece.ids, at);
    logprobs.set(piece.logprobs, at);
    if (piece.entropies === null) entropies.fill(Number.NaN, at, at + piece.ids.length);
    else entropies.set(piece.entropies, at);
    versions.fill(piece.version, at, at + piece.ids.length);
    at += piece.ids.length;
  }
  return { ids, logprobs, entropies, versions };
}
