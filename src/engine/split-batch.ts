/**
 * A batch in parts whose gradients add up to its own: for machines that should not hold, or wait for, all of it at once.
 *
 * Invariant: a part is whole trees, in order; a tree is never cut, since its paths share what its root computed.
 */
import { EspalierError } from '../core/errors.ts';
import type { TrieBatch } from './engine.ts';

/**
 * Parts of at most `maxTokens` tokens each, as few as fit in order; parts without a loss term are left out.
 * Throws an `engine` error when one tree is larger. The batch must be one that `checkBatch` lets through.
 */
export function splitBatch(batch: TrieBatch, maxTokens: number): TrieBatch[] {
  const { spanParent, spanStart, tokens } = batch;
  if (tokens.length <= maxTokens) return [batch];
  const roots = [...spanParent.keys()].filter((span) => spanParent[span] === -1);
  const parts: TrieBatch[] = [];
  let first = 0;
  for (const [i, root] of roots.entries()) {
    const end = roots[i + 1] ?? spanParent.length;
    const size = (spanStart[end] as number) - (spanStart[root] as number);
    if (size > maxTokens) {
      throw new EspalierError(
        'engine',
        `a tree of the batch has ${size} tokens, beyond the ${maxTokens} of one pass: raise maxTrieTokens, or lower learn.tokenBudget`,
      );
    }
    if ((spanStart[end] as number) - (spanStart[first] as number) <= maxTokens) continue;
    parts.push(partOf(batch, first, root));
    first = root;
  }
  parts.push(partOf(batch, first, spanParent.length));
  return parts.filter(({ termNode }) => termNode.length > 0);
}

/** Spans [first, end) as a batch of their own. */
function partOf(batch: TrieBatch, first: number, end: number): TrieBatch {
  const from = batch.spanStart[first] as number;
  const to = batch.spanStart[end] as number;
  const term = batch.termNode.findIndex((node) => node >= from);
  const last = batch.termNode.findLastIndex((node) => node < to) + 1;
  const start = term === -1 ? last : term;
  return {
    tokens: batch.tokens.subarray(from, to),
    spanStart: batch.spanStart.subarray(first, end + 1).map((at) => at - from),
    spanParent: batch.spanParent.subarray(first, end).map((parent) => (parent < 0 ? -1 : parent - first)),
    termNode: batch.termNode.subarray(start, last).map((node) => node - from),
    termTarget: batch.termTarget.subarray(start, last),
    termBehaviorLogprob: batch.termBehaviorLogprob.subarray(start, last),
    termAPos: batch.termAPos.subarray(start, last),
    termANeg: batch.termANeg.subarray(start, last),
    termCount: batch.termCount.subarray(start, last),
  };
}
