/**
 * How a turn is sampled: as its session says, or, where the session leaves it to the request, as that asks.
 *
 * Invariant: what is left to requests is never learned from, so such a session is not trainable.
 */
import { seedOf } from '../core/random.ts';
import { noTruncation, problemOfTruncation, type Truncation } from '../core/truncation.ts';
import { invalid } from '../dialects/json-reader.ts';
import type { SamplingWish } from '../dialects/sampling-wish.ts';

/** A session's own sampling, and whether it is the last word. */
export interface SamplingRule {
  readonly temperature: number;
  /** Not given: every token may be drawn. */
  readonly truncation?: Truncation;
  /** `request`: what a request gives stands in place of the session's; not given: `session`. */
  readonly samplingBy?: 'session' | 'request';
}

export interface TurnSampling extends Truncation {
  readonly temperature: number;
  /** The request's own seed, or null: the turn's. */
  readonly seed: bigint | null;
}

/** Throws a Refusal (400) when a wish that would be honored is out of range. */
export function turnSampling(rule: SamplingRule, wish: SamplingWish | undefined): TurnSampling {
  const { temperature, truncation = noTruncation, samplingBy = 'session' } = rule;
  if (samplingBy === 'session' || wish === undefined) return { temperature, ...truncation, seed: null };
  const wished = wish.temperature ?? temperature;
  if (!(wished >= 0 && wished <= 2)) {
    throw invalid('temperature', "Invalid value for 'temperature': expected a number from 0 to 2.", 'invalid_value');
  }
  const filters = {
    // vLLM's way to say "every token".
    topK: wish.topK === -1 ? 0 : (wish.topK ?? truncation.topK),
    topP: wish.topP ?? truncation.topP,
    minP: wish.minP ?? truncation.minP,
  };
  const problem = problemOfTruncation(filters);
  if (problem !== null) {
    const name = { topK: 'top_k', topP: 'top_p', minP: 'min_p' }[problem.split(' ', 1)[0] as keyof Truncation];
    throw invalid(name, `Invalid value for '${name}': ${problem}.`, 'invalid_value');
  }
  return { temperature: wished, ...filters, seed: wish.seed === null ? null : seedOf('request', wish.seed) };
}

/** Part of a request's key: requests that are sampled differently are not the same request. '' under a session's rule. */
export function samplingKey({ samplingBy }: SamplingRule, wish: SamplingWish | undefined): string {
  if (samplingBy !== 'request' || wish === undefined) return '';
  const given = Object.entries(wish).filter(([, value]) => value !== null);
  return given.length === 0 ? '' : JSON.stringify(Object.fromEntries(given));
}
