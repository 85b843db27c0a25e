/**
 * A rollout's turns as one token trie, in spans that a reader can follow.
 *
 * Invariants:
 * 1. All tokens of a span are in the same turns and have the same origin: context, or sampled by the same turns.
 * 2. The tokens of all spans are the nodes of the rollout's compute trie: equal ids are one node, whoever made them.
 */
import type { DrawnSpan } from '../../report/trie-drawing.ts';
import { pathOf, type RecordedTurn } from '../../trajectory/turns.ts';
import { layoutTrajectories, type TrajectoryTrie } from '../../trie/layout.ts';

export interface RolloutTrie {
  readonly roots: readonly DrawnSpan[];
  /** Nodes of the trie, and tokens of all turns one by one. */
  readonly tokens: number;
  readonly flatTokens: number;
}

/** Enough for any line of text that is shown. */
const shownTokens = 32;

export function rolloutTrie(turns: readonly RecordedTurn[], decode: ((ids: Int32Array) => string) | null): RolloutTrie {
  const trie = layoutTrajectories(turns.map(pathOf));
  const spans = Array.from(trie.spanParent, (_, span) => piecesOf(span, trie, turns));
  const roots: MutableSpan[] = [];
  const ends: MutableSpan[] = [];
  spans.forEach((pieces, span) => {
    const parent = ends[trie.spanParent[span] as number];
    let siblings = parent === undefined ? roots : parent.children;
    for (const { first, last, sampledBy, through } of pieces) {
      const shown = Math.min(last, first + shownTokens);
      const text = decode === null ? null : decode(trie.tokens.subarray(first, shown)) + (shown < last ? '\u2026' : '');
      const drawn = { tokens: last - first, sampledBy, turns: through, text, children: [] };
      siblings.push(drawn);
      siblings = drawn.children;
      ends[span] = drawn;
    }
  });
  return {
    roots,
    tokens: trie.tokens.length,
    flatTokens: turns.reduce((sum, turn) => sum + turn.prompt.length + turn.completion.length, 0),
  };
}

interface MutableSpan extends DrawnSpan {
  readonly children: MutableSpan[];
}

/** Nodes [first, last). */
interface Piece {
  readonly first: number;
  readonly last: number;
  readonly through: readonly number[];
  readonly sampledBy: readonly number[];
}

/** A span of the trie, cut where a completion begins or a turn ends. */
function piecesOf(span: number, trie: TrajectoryTrie, turns: readonly RecordedTurn[]): Piece[] {
  const [start, end] = [trie.spanStart[span] as number, trie.spanStart[span + 1] as number];
  const depth = depthOf(span, trie);
  // Nodes of a span lie in a row, so node `first` of a turn that passes it stands at this place of the turn's path.
  const placeOf = (node: number): number => depth + node - start;
  const passing = turns
    .map((turn, at) => ({ turn, nodes: trie.nodes[at] as Int32Array }))
    .filter(({ nodes }) => nodes[depth] === start);
  const cuts = new Set([start]);
  for (const { turn, nodes } of passing) {
    for (const place of [turn.prompt.length, nodes.length]) {
      const node = start + place - depth;
      if (node > start && node < end) cuts.add(node);
    }
  }
  const firsts = [...cuts].sort((a, b) => a - b);
  return firsts.map((first, at) => {
    const through = passing.filter(({ nodes }) => nodes[placeOf(first)] === first).map(({ turn }) => turn);
    return {
      first,
      last: firsts[at + 1] ?? end,
      through: through.map(({ index }) => index),
      sampledBy: through.filter(({ prompt }) => placeOf(first) >= prompt.length).map(({ index }) => index),
    };
  });
}

/** Tokens above a span. */
function depthOf(span: number, trie: TrajectoryTrie): number {
  let depth = 0;
  for (let above = trie.spanParent[span] as number; above >= 0; above = trie.spanParent[above] as number) {
    depth += (trie.spanStart[above + 1] as number) - (trie.spanStart[above] as number);
  }
  return depth;
}
