/**
 * Supervised fine-tuning: demonstrations to cross-entropy terms on one trie.
 *
 * Not here: who demonstrated, rendering, tokenizing. The caller brings ids and who wrote them.
 *
 * Invariants:
 * 1. A step's loss is the weighted token mean over its demonstrations, each counted in full: where they share a prefix
 *    the token is computed once and its weights add up.
 * 2. A token of weight 0 stays in context and is not learned. The first token of a demonstration has nothing that
 *    predicts it and is never learned.
 */
import { Random, seedOf } from '../../core/random.ts';
import type { OptimizerStep, TrainRequest } from '../../engine/engine.ts';
import { layoutTrajectories } from '../../trie/layout.ts';
import { crossEntropyObjective } from '../objectives.ts';
import { type PlacedTerm, packTerms } from '../trie-batch.ts';

/** `weights[i]` belongs to `ids[i]` as a target. */
export interface Demonstration {
  readonly ids: Int32Array;
  readonly weights: Float32Array;
}

/**
 * A stretch of a demonstration. `assistant`: a good turn, weight 1. `masked`: a turn whose call did not parse, named an
 * unknown tool, broke its schema or was rejected, weight 0. `context`: everything else, the context weight.
 */
export interface DemonstrationSpan {
  readonly kind: 'context' | 'assistant' | 'masked';
  readonly ids: Int32Array;
}

/** Predicting the context, too, was seen to help a model that starts from nothing. */
export const defaultContextWeight = 0.3;

export function demonstrationOf(
  spans: readonly DemonstrationSpan[],
  contextWeight: number = defaultContextWeight,
  assistantWeight = 1,
): Demonstration {
  const length = spans.reduce((sum, span) => sum + span.ids.length, 0);
  const ids = new Int32Array(length);
  const weights = new Float32Array(length);
  const weightOf = { context: contextWeight, assistant: assistantWeight, masked: 0 };
  let at = 0;
  for (const span of spans) {
    ids.set(span.ids, at);
    weights.fill(weightOf[span.kind], at, at + span.ids.length);
    at += span.ids.length;
  }
  return { ids, weights };
}

export interface SftBatch {
  readonly batch: TrainRequest['batch'];
  readonly objective: TrainRequest['objective'];
  /** Tokens of the demonstrations, and of their trie. */
  readonly flatTokens: number;
  readonly treeTokens: number;
}

export function sftBatch(demonstrations: readonly Demonstration[]): SftBatch {
  const trie = layoutTrajectories(demonstrations.map(({ ids }) => ids));
  const counts = new Float64Array(trie.tokens.length);
  const parents = new Int32Array(trie.tokens.length).fill(-1);
  demonstrations.forEach(({ ids, weights }, index) => {
    if (weights.length !== ids.length) {
      throw new RangeError(`a demonstration of ${ids.length} tokens has ${weights.length} weights`);
    }
    const nodes = trie.nodes[index] ?? new Int32Array();
    for (let i = 1; i < nodes.length; i++) {
      const node = nodes[i] as number;
      counts[node] = (counts[node] as number) + (weights[i] as number);
      parents[node] = nodes[i - 1] as number;
    }
  });
  const terms: PlacedTerm[] = [];
  let weight = 0;
  counts.forEach((count, targetNode) => {
    if (count === 0) return;
    weight += count;
    const target = trie.tokens[targetNode] as number;
    terms.push({
      node: parents[targetNode] as number,
      targetNode,
      target,
      behaviorLogprob: 0,
      aPos: 0,
      aNeg: 0,
      count,
    });
  });
  return {
    batch: packTerms(trie, terms).batch,
    objective: crossEntropyObjective(weight),
    flatTokens: demonstrations.reduce((sum, { ids }) => sum + ids.length, 0),
    treeTokens: trie.tokens.length,
  };
}

export function sftRequest({ batch, objective }: SftBatch, optimizer: OptimizerStep): TrainRequest {
  return { batch, objective, optimizer };
}

export interface SftPlan {
  /** Demonstrations a step; the rest of an epoch that does not fill a step is left out. */
  readonly perStep: number;
  readonly epochs: number;
  readonly seed: string | number;
}

export function sftSteps(demonstrations: number, plan: Pick<SftPlan, 'perStep' | 'epochs'>): number {
  return Math.floor(demonstrations / plan.perStep) * plan.epochs;
}

/** The batches of a stage, in order, built as they are asked for: every epoch is a seeded shuffle. */
export function* sftBatches(demonstrations: readonly Demonstration[], plan: SftPlan): Generator<SftBatch> {
  for (let epoch = 0; epoch < plan.epochs; epoch++) {
    const order = new Random(seedOf('sft', plan.seed, epoch)).shuffled(demonstrations);
    for (let at = 0; at + plan.perStep <= order.length; at += plan.perStep) {
      yield sftBatch(order.slice(at, at + plan.perStep));
    }
  }
}
