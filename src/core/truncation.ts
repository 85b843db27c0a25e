/**
 * Which tokens may be drawn at all: top-k, top-p and min-p.
 *
 * Tokens are ordered by logit, larger first, lower id first among equals. Each filter, in this order, keeps a beginning of
 * that order: the first `topK`; the fewest that hold `topP` of the tempered probability of what is left; those at least
 * `minP` times as probable as the first. The first is always kept, so topK 1 is greedy.
 *
 * Not covered: what is recorded. Log-probabilities and entropies are those of the whole distribution at temperature 1.
 */
export interface Truncation {
  /** 0 keeps every token. */
  readonly topK: number;
  /** Above 0; 1 keeps every token. */
  readonly topP: number;
  /** From 0, which keeps every token, to 1. */
  readonly minP: number;
}

export const noTruncation: Truncation = { topK: 0, topP: 1, minP: 0 };

export function truncates({ topK, topP, minP }: Truncation): boolean {
  return topK > 0 || topP < 1 || minP > 0;
}

/** The first value out of range and what it must be, or null. */
export function problemOfTruncation({ topK, topP, minP }: Truncation): string | null {
  if (!Number.isInteger(topK) || topK < 0 || topK >= 2 ** 31) {
    return `topK is ${topK}; it must be a whole number from 0 (every token)`;
  }
  // Kernels take it as a 32-bit float, which must not be 0.
  if (!(Math.fround(topP) > 0 && topP <= 1)) return `topP is ${topP}; it must be above 0 and at most 1 (every token)`;
  if (!(minP >= 0 && minP <= 1)) return `minP is ${minP}; it must be from 0 (every token) to 1`;
  return null;
}
