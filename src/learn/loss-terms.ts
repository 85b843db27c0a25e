/**
 * From rollouts with advantages to loss terms on one trie.
 *
 * The mean over sampled tokens of a per-trajectory loss equals one pass over the trie with a weight per unique token
 * (docs/architecture.md, "Compute trie and loss terms"). Which tokens share compute and what is learned from them are
 * two things: nodes are shared whenever ids agree; terms are merged only when everything that the loss reads agrees.
 *
 * Invariants:
 * 1. A term belongs to a sampled token. It is predicted at the token's parent in the trie, so the last token of an inner
 *    span predicts another target for each child: targets are not the tokens shifted by one.
 * 2. Samples merge into one term when they are the same node, policy version and behavior log-probability, bit for bit;
 *    A+ and A- add up apart, because clipping is piecewise in the advantage's sign.
 * 3. The terms do not depend on timing: they are a function of the rollouts in their order.
 */
import type { TrieBatch } from '../engine/engine.ts';
import { layoutTrajectories, type TrajectoryTrie } from '../trie/layout.ts';
import { keptPaths, keptSpans } from './pruning.ts';
import { type RolloutTrajectories, type SampledTurn, trajectoriesOf } from './trajectories.ts';
import { type PlacedTerm, packTerms } from './trie-batch.ts';

/** One rollout with what its reward says about its tokens. */
export interface LearnedRollout {
  readonly turns: readonly SampledTurn[];
  readonly advantage: number;
}

/**
 * A rollout that forks has tokens on several of its trajectories. `per-branch` weighs such a token by their number (a
 * token that the rollout sampled k times at one node shares that number among the k); `once` trains every sampled token
 * once. These are different objectives; for a rollout of one trajectory they are equal.
 */
export type SharedTokens = 'per-branch' | 'once';

export interface LossBatch {
  readonly batch: TrieBatch;
  /** [terms], aligned with the batch's: the policy version that sampled the target. */
  readonly termVersion: Int32Array;
  /** [terms]: how many samples were merged into the term. */
  readonly termSamples: Int32Array;
  readonly figures: BatchFigures;
}

/** Sizes add up over the batches of a step. Ratios must name which flat size they were taken of. */
export interface BatchFigures {
  /** Sampled tokens that are learned, once a rollout: the token mean's normalizer. */
  readonly sampledTokens: number;
  /** Nodes of the trie. */
  readonly treeTokens: number;
  /** Were every request a sample of its own: the sum over turns of prompt and completion. */
  readonly flatTokensPerRequest: number;
  /** Were every trajectory of a rollout a sample of its own, its turns merged. */
  readonly flatTokensMerged: number;
  /** Sum of the sampled tokens' entropies in nats. */
  readonly entropySum: number;
}

interface VersionedTerm extends PlacedTerm {
  readonly version: number;
  samples: number;
  aPos: number;
  aNeg: number;
  count: number;
}

/** `tokenBudget`: nodes of the trie at most, null for all of it (pruning.ts). Throws EspalierError('config') when it is too small. */
export function lossBatch(
  rollouts: readonly LearnedRollout[],
  shared: SharedTokens = 'per-branch',
  tokenBudget: number | null = null,
): LossBatch {
  const paths = rollouts.map(({ turns }) => trajectoriesOf(turns));
  const trie = layoutWithin(rollouts, paths, tokenBudget);
  const terms = new Terms();
  const figures = { sampledTokens: 0, flatTokensPerRequest: 0, flatTokensMerged: 0, entropySum: 0 };
  let firstPath = 0;
  rollouts.forEach((rollout, index) => {
    const { ids, ofTurn } = paths[index] ?? { ids: [], ofTurn: [] };
    const nodes = trie.nodes.slice(firstPath, firstPath + ids.length);
    firstPath += ids.length;
    for (const path of ids) figures.flatTokensMerged += path.length;
    for (const turn of rollout.turns) figures.flatTokensPerRequest += turn.prompt.length + turn.completion.length;

    const samples = rollout.turns.flatMap((turn, t) => samplesOf(turn, nodes[ofTurn[t] ?? 0]));
    const weightOf = shared === 'once' ? () => 1 : branchWeights(nodes, samples);
    for (const sample of samples) {
      figures.sampledTokens++;
      figures.entropySum += sample.entropy;
      terms.add(sample, rollout.advantage, weightOf(sample.targetNode));
    }
  });
  const packed = packTerms(trie, terms.all);
  return {
    batch: packed.batch,
    termVersion: Int32Array.from(packed.terms, (term) => term.version),
    termSamples: Int32Array.from(packed.terms, (term) => term.samples),
    figures: { ...figures, treeTokens: trie.tokens.length },
  };
}

/** The trie of all trajectories, or of what a budget keeps of them. */
function layoutWithin(
  rollouts: readonly LearnedRollout[],
  paths: readonly RolloutTrajectories[],
  tokenBudget: number | null,
): TrajectoryTrie {
  const all = paths.flatMap(({ ids }) => ids);
  const trie = layoutTrajectories(all);
  if (tokenBudget === null || trie.tokens.length <= tokenBudget) return trie;
  const entropies = new Float64Array(trie.tokens.length);
  let firstPath = 0;
  rollouts.forEach(({ turns }, index) => {
    const { ids, ofTurn } = paths[index] as RolloutTrajectories;
    turns.forEach((turn, t) => {
      for (const { targetNode, entropy } of samplesOf(turn, trie.nodes[firstPath + (ofTurn[t] ?? 0)])) {
        entropies[targetNode] = entropy;
      }
    });
    firstPath += ids.length;
  });
  return layoutTrajectories(keptPaths(trie, all, keptSpans(trie, entropies, tokenBudget)));
}

interface Sample {
  readonly node: number;
  readonly targetNode: number;
  readonly target: number;
  readonly behaviorLogprob: number;
  readonly entropy: number;
  readonly version: number;
}

/** A turn that is known as text only has no ids that the policy sampled: nothing is learned from it. */
function samplesOf(turn: SampledTurn, nodes: Int32Array | undefined): Sample[] {
  if (turn.fidelity === 'text' || nodes === undefined) return [];
  const start = turn.prompt.length;
  const { completion, behaviorLogprobs, entropies, versions } = turn;
  if ([behaviorLogprobs, entropies, versions].some((column) => column.length !== completion.length)) {
    throw new RangeError(
      `a turn of ${completion.length} sampled tokens has ${behaviorLogprobs.length} log-probabilities, ` +
        `${entropies.length} entropies and ${versions.length} versions`,
    );
  }
  if (start === 0) throw new RangeError('a turn without a prompt: its first token has no parent that predicts it');
  // Beyond the nodes lies what was pruned.
  return Array.from(completion.subarray(0, Math.max(0, nodes.length - start)), (target, i) => ({
    node: nodes[start + i - 1] ?? -1,
    targetNode: nodes[start + i] ?? -1,
    target,
    behaviorLogprob: behaviorLogprobs[i] ?? Number.NaN,
    entropy: entropies[i] ?? Number.NaN,
    version: versions[i] ?? -1,
  }));
}

/** Trajectories of the rollout through a node, divided among the samples that the rollout took there. */
function branchWeights(nodes: readonly Int32Array[], samples: readonly Sample[]): (targetNode: number) => number {
  const through = new Map<number, number>();
  for (const path of nodes) for (const node of path) through.set(node, (through.get(node) ?? 0) + 1);
  const sampled = new Map<number, number>();
  for (const { targetNode } of samples) sampled.set(targetNode, (sampled.get(targetNode) ?? 0) + 1);
  return (node) => (through.get(node) ?? 1) / (sampled.get(node) ?? 1);
}

/** Merges samples into terms (invariant 2). */
class Terms {
  readonly all: VersionedTerm[] = [];
  readonly #atTarget = new Map<number, VersionedTerm[]>();

  add(sample: Sample, advantage: number, weight: number): void {
    const candidates = this.#atTarget.get(sample.targetNode) ?? [];
    this.#atTarget.set(sample.targetNode, candidates);
    let term = candidates.find(
      (other) => other.version === sample.version && Object.is(other.behaviorLogprob, sample.behaviorLogprob),
    );
    if (term === undefined) {
      const { node, targetNode, target, behaviorLogprob, version } = sample;
      term = { node, targetNode, target, behaviorLogprob, version, samples: 0, aPos: 0, aNeg: 0, count: 0 };
      candidates.push(term);
      this.all.push(term);
    }
    term.samples++;
    term.count += weight;
    if (advantage > 0) term.aPos += weight * advantage;
    else term.aNeg += weight * advantage;
  }
}
