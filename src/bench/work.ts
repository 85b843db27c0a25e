/**
 * Exact counts of the floating-point operations that a batch needs, a multiply-add being two.
 *
 * Counted: matrices by token, attention by pair of a query and a position that it sees, logits by token that carries a
 * term. The backward pass needs twice the forward's in each of them.
 * Not counted: norms, rotations, activations, softmax, the optimizer, and what an implementation computes twice
 * (attention's backward computes its scores again). So a share of the peak is one of useful work.
 */
import type { TrieBatch } from '../engine/engine.ts';
import type { ModelShape } from '../native/native.ts';

export interface Work {
  readonly matrices: number;
  readonly attention: number;
  readonly logits: number;
}

type Computed = Pick<TrieBatch, 'tokens' | 'spanStart' | 'spanParent' | 'termNode'>;

/** Pairs of a query and a position that it sees, its own included. */
export function visiblePairs({ spanStart, spanParent }: Pick<Computed, 'spanStart' | 'spanParent'>): number {
  const endDepth = new Float64Array(spanParent.length);
  let pairs = 0;
  for (let span = 0; span < spanParent.length; span++) {
    const length = (spanStart[span + 1] as number) - (spanStart[span] as number);
    const parent = spanParent[span] as number;
    const before = parent < 0 ? 0 : (endDepth[parent] as number);
    endDepth[span] = before + length;
    pairs += length * before + (length * (length + 1)) / 2;
  }
  return pairs;
}

export function forwardWork(batch: Computed, shape: ModelShape): Work {
  const { hiddenSize, headDim, headCount, kvHeadCount, intermediateSize, layerCount, vocabSize } = shape;
  const layer = hiddenSize * headDim * (2 * headCount + 2 * kvHeadCount) + 3 * hiddenSize * intermediateSize;
  return {
    matrices: 2 * layerCount * layer * batch.tokens.length,
    attention: 2 * layerCount * 2 * headCount * headDim * visiblePairs(batch),
    logits: 2 * new Set(batch.termNode).size * vocabSize * hiddenSize,
  };
}

const total = ({ matrices, attention, logits }: Work): number => matrices + attention + logits;

/** Forward and backward. */
export function trainingFlops(batch: Computed, shape: ModelShape): number {
  return 3 * total(forwardWork(batch, shape));
}
