/**
 * Tries of random ids for benchmarks: made up from the lengths of their spans, as a batch or with every path flat.
 *
 * Invariant: a trie and its flat form have the same loss. A learned token that several leaves share is one term with
 * their number as its count, and one term of count 1 on each flat path.
 */
import type { Random } from '../core/random.ts';
import type { OptimizerStep, TrieBatch } from '../engine/engine.ts';
import { trainPlan } from '../engine/trie-batch.ts';
import { optimizerStep, reinforcementOptimizer } from '../learn/optimizer.ts';
import type { TrainPlan } from '../native/native.ts';

/** Spans come in pre-order. */
export interface SpanWish {
  /** Index of a span before it, or -1. */
  readonly parent: number;
  readonly tokens: number;
  /** Chance that one of its tokens is a target. */
  readonly learned: number;
}

export interface MadeTrie {
  readonly tokens: Int32Array;
  /** [tokens]: 1 where the token is a target. A root's first token never is: nothing predicts it. */
  readonly learned: Uint8Array;
  /** [spans + 1] */
  readonly spanStart: Int32Array;
  /** [spans] */
  readonly spanParent: Int32Array;
}

export function makeTrie(spans: readonly SpanWish[], vocabSize: number, random: Random): MadeTrie {
  const starts = [0];
  for (const { tokens } of spans) starts.push((starts.at(-1) ?? 0) + tokens);
  const learned = spans.flatMap(({ parent, tokens, learned: chance }) =>
    Array.from({ length: tokens }, (_, i) => (parent < 0 && i === 0 ? 0 : Number(random.chance(chance)))),
  );
  return {
    tokens: Int32Array.from({ length: starts.at(-1) ?? 0 }, () => random.below(vocabSize)),
    learned: Uint8Array.from(learned),
    spanStart: Int32Array.from(starts),
    spanParent: Int32Array.from(spans, ({ parent }) => parent),
  };
}

/** Every root-to-leaf path as a root of its own. */
export function flattened({ tokens, learned, spanStart, spanParent }: MadeTrie): MadeTrie {
  const inner = new Set(spanParent);
  const nodes: number[] = [];
  const starts = [0];
  for (let leaf = 0; leaf < spanParent.length; leaf++) {
    if (inner.has(leaf)) continue;
    const chain: number[] = [];
    for (let span = leaf; span >= 0; span = spanParent[span] as number) chain.unshift(span);
    for (const span of chain) {
      for (let node = spanStart[span] as number; node < (spanStart[span + 1] as number); node++) nodes.push(node);
    }
    starts.push(nodes.length);
  }
  return {
    tokens: Int32Array.from(nodes, (node) => tokens[node] as number),
    learned: Uint8Array.from(nodes, (node) => learned[node] as number),
    spanStart: Int32Array.from(starts),
    spanParent: new Int32Array(starts.length - 1).fill(-1),
  };
}

function leavesBelow(spanParent: Int32Array): Int32Array {
  const inner = new Set(spanParent);
  const leaves = Int32Array.from(spanParent, (_, span) => (inner.has(span) ? 0 : 1));
  for (let span = spanParent.length - 1; span >= 0; span--) {
    const parent = spanParent[span] as number;
    if (parent >= 0) leaves[parent] = (leaves[parent] as number) + (leaves[span] as number);
  }
  return leaves;
}

export function batchOf({ tokens, learned, spanStart, spanParent }: MadeTrie): TrieBatch {
  const leaves = leavesBelow(spanParent);
  const terms: { node: number; target: number; count: number }[] = [];
  for (let span = 0; span < spanParent.length; span++) {
    const [first, parent] = [spanStart[span] as number, spanParent[span] as number];
    for (let at = first; at < (spanStart[span + 1] as number); at++) {
      if (learned[at] === 0) continue;
      const node = at > first ? at - 1 : (spanStart[parent + 1] as number) - 1;
      terms.push({ node, target: tokens[at] as number, count: leaves[span] as number });
    }
  }
  terms.sort((a, b) => a.node - b.node);
  const zeros = new Float32Array(terms.length);
  return {
    ...{ tokens, spanStart, spanParent },
    termNode: Int32Array.from(terms, ({ node }) => node),
    termTarget: Int32Array.from(terms, ({ target }) => target),
    termBehaviorLogprob: zeros,
    termAPos: zeros,
    termANeg: zeros,
    termCount: Float32Array.from(terms, ({ count }) => count),
  };
}

/** AdamW at a learning rate of 0: all of its work, and every round starts from the same weights. */
export const still: OptimizerStep = { ...optimizerStep(reinforcementOptimizer, 0, 1), learningRate: 0 };

/** Cross-entropy over the batch's terms, the mean of a term. */
export function planOf(batch: TrieBatch): TrainPlan {
  const normalizer = batch.termCount.reduce((sum, count) => sum + count, 0);
  return trainPlan({ batch, objective: { kind: 'cross-entropy', normalizer }, optimizer: still });
}

export function flatSequences(count: number, tokens: number, learned = 1): SpanWish[] {
  return Array.from({ length: count }, () => ({ parent: -1, tokens, learned }));
}

/** Groups of rollouts that share a prompt and end in `own` learned tokens each; every path is `context` tokens long. */
export function sharedPrompts(groups: number, leaves: number, context: number, own: number): SpanWish[] {
  const spans: SpanWish[] = [];
  for (let group = 0; group < groups; group++) {
    const count = Math.floor(((group + 1) * leaves) / groups) - Math.floor((group * leaves) / groups);
    const root = spans.push({ parent: -1, tokens: context - own, learned: 0 }) - 1;
    for (let leaf = 0; leaf < count; leaf++) spans.push({ parent: root, tokens: own, learned: 1 });
  }
  return spans;
}

/** Groups of 8 rollouts: a prompt of about 120, then every rollout forks off another's path and goes on in short spans. */
export function forkingGroups(groups: number, learned: number, random: Random): SpanWish[] {
  const spans: SpanWish[] = [];
  const grow = (parent: number, rollouts: number): void => {
    const at = spans.push({ parent, tokens: random.between(20, 60), learned }) - 1;
    if (rollouts === 1) {
      if (random.chance(0.5)) grow(at, 1);
      return;
    }
    const left = random.between(1, rollouts - 1);
    grow(at, left);
    grow(at, rollouts - left);
  };
  for (let group = 0; group < groups; group++) {
    const root = spans.push({ parent: -1, tokens: random.between(100, 140), learned: 0 }) - 1;
    for (let left = 8; left > 0; ) {
      const take = Math.min(left, random.between(1, 4));
      grow(root, take);
      left -= take;
    }
  }
  return spans;
}
