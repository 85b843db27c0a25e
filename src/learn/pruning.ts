/**
 * Which part of a trie is learned when all of it is too much.
 *
 * A span's worth is what the policy decided in it, times how many trajectories depend on that: reach · (sum of token
 * entropies), reach = leaves below the span / leaves of the trie. From the roots on, the span of the greatest worth is
 * taken and its tokens paid for, until the budget is spent.
 *
 * Invariants:
 * 1. What is kept is closed under prefixes: a span is taken only after its parent, and whole.
 * 2. A span that does not fit is left out with everything below it; smaller ones after it may still be taken.
 * 3. Equal worth goes to the span that stands first: the choice is a function of the trie.
 */
import { EspalierError } from '../core/errors.ts';
import type { TrieLayout } from '../trie/layout.ts';

/**
 * Per span, 1 when it is kept. `entropies`: in nats, shape [nodes], 0 where nothing was sampled.
 *
 * Throws EspalierError('config') when not even one root fits.
 */
export function keptSpans(layout: TrieLayout, entropies: Float64Array, budget: number): Uint8Array {
  const { spanStart, spanParent } = layout;
  const worth = worthOf(layout, entropies);
  const children = childrenOf(spanParent);
  const kept = new Uint8Array(spanParent.length);
  const roots = Array.from(spanParent.keys()).filter((span) => (spanParent[span] as number) < 0);
  const open = [...roots];
  const tokensOf = (span: number): number => (spanStart[span + 1] as number) - (spanStart[span] as number);
  let left = budget;
  while (open.length > 0) {
    let best = 0;
    open.forEach((span, at) => {
      const other = open[best] as number;
      const [a, b] = [worth[span] as number, worth[other] as number];
      if (a > b || (a === b && span < other)) best = at;
    });
    const [span] = open.splice(best, 1) as [number];
    if (tokensOf(span) > left) continue;
    left -= tokensOf(span);
    kept[span] = 1;
    open.push(...(children[span] ?? []));
  }
  if (left === budget && spanParent.length > 0) {
    const least = Math.min(...roots.map(tokensOf));
    throw new EspalierError(
      'config',
      `learn.tokenBudget ${budget} is less than the shortest prompt of a step: give at least ${least}, better thousands`,
    );
  }
  return kept;
}

/** The beginnings of trajectories that lie in kept spans. `nodes[i]` are trajectory i's nodes in the layout. */
export function keptPaths(
  layout: TrieLayout & { readonly nodes: readonly Int32Array[] },
  paths: readonly Int32Array[],
  kept: Uint8Array,
): Int32Array[] {
  const spanOf = new Int32Array(layout.tokens.length);
  for (let span = 0; span < layout.spanParent.length; span++) {
    spanOf.fill(span, layout.spanStart[span], layout.spanStart[span + 1]);
  }
  return paths.map((path, index) => {
    const nodes = layout.nodes[index] as Int32Array;
    const end = nodes.findIndex((node) => kept[spanOf[node] as number] === 0);
    return end < 0 ? path : path.subarray(0, end);
  });
}

function worthOf({ spanStart, spanParent }: TrieLayout, entropies: Float64Array): Float64Array {
  const spans = spanParent.length;
  const leaves = new Int32Array(spans);
  let total = 0;
  for (let span = spans - 1; span >= 0; span--) {
    if (leaves[span] === 0) {
      leaves[span] = 1;
      total++;
    }
    const parent = spanParent[span] as number;
    if (parent >= 0) leaves[parent] = (leaves[parent] as number) + (leaves[span] as number);
  }
  return Float64Array.from({ length: spans }, (_, span) => {
    const inside = entropies.subarray(spanStart[span], spanStart[span + 1]);
    return ((leaves[span] as number) / total) * inside.reduce((sum, value) => sum + value, 0);
  });
}

function childrenOf(spanParent: Int32Array): number[][] {
  const children: number[][] = Array.from(spanParent, () => []);
  spanParent.forEach((parent, span) => {
    if (parent >= 0) children[parent]?.push(span);
  });
  return children;
}
