/** From a trie's layout and the terms on it to what an engine trains on. */
import type { LossTerm } from '../core/sample.ts';
import type { TrieBatch } from '../engine/engine.ts';
import type { TrieLayout } from '../trie/layout.ts';

/** A term's place is its target's node: the logits that predict it are taken at the parent. */
export type PlacedTerm = LossTerm & { readonly targetNode: number };

/**
 * The batch, and its terms in the batch's order: by the node that predicts, then by the target's node (siblings stand in
 * trie order), then as given.
 */
export function packTerms<T extends PlacedTerm>(
  layout: TrieLayout,
  terms: readonly T[],
): { readonly batch: TrieBatch; readonly terms: readonly T[] } {
  const sorted = terms.toSorted((a, b) => a.node - b.node || a.targetNode - b.targetNode);
  const batch: TrieBatch = {
    tokens: layout.tokens,
    spanStart: layout.spanStart,
    spanParent: layout.spanParent,
    termNode: Int32Array.from(sorted, (term) => term.node),
    termTarget: Int32Array.from(sorted, (term) => term.target),
    termBehaviorLogprob: Float32Array.from(sorted, (term) => term.behaviorLogprob),
    termAPos: Float32Array.from(sorted, (term) => term.aPos),
    termANeg: Float32Array.from(sorted, (term) => term.aNeg),
    termCount: Float32Array.from(sorted, (term) => term.count),
  };
  return { batch, terms: sorted };
}
