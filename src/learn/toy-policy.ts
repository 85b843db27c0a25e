/**
 * For tests only: a policy that is a table of logits, one row a prefix, with its exact clipped-loss gradient, and random
 * rollouts over few ids that share, fork, repeat a prompt and change version.
 */
import { Random, seedOf } from '../core/random.ts';
import type { TrieBatch } from '../engine/engine.ts';
import type { LearnedRollout } from './loss-terms.ts';
import type { SampledTurn } from './trajectories.ts';

const vocabSize = 5;
const clipLow = 0.2;
const clipHigh = 0.28;

/** Natural log of the policy's probabilities after a prefix: shape [vocabulary]. */
export function logprobsOf(prefix: readonly number[]): number[] {
  const random = new Random(seedOf('logits', ...prefix));
  const logits = Array.from({ length: vocabSize }, () => random.next() * 3);
  const normalizer = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  return logits.map((logit) => logit - normalizer);
}

export class Gradient {
  readonly rows = new Map<string, number[]>();
  loss = 0;

  /** d(scale * logprob(target | prefix)) / d logits, and the loss itself. */
  add(prefix: readonly number[], target: number, loss: number, scale: number): void {
    this.loss += loss;
    const row = this.rows.get(prefix.join()) ?? new Array<number>(vocabSize).fill(0);
    logprobsOf(prefix).forEach((logprob, id) => {
      row[id] = (row[id] ?? 0) + scale * ((id === target ? 1 : 0) - Math.exp(logprob));
    });
    this.rows.set(prefix.join(), row);
  }
}

export function clipped(policy: number, behavior: number, aPos: number, aNeg: number): { loss: number; scale: number } {
  const ratio = Math.exp(policy - behavior);
  return {
    loss: -(aPos * Math.min(ratio, 1 + clipHigh) + aNeg * Math.max(ratio, 1 - clipLow)),
    scale: -ratio * ((ratio < 1 + clipHigh ? aPos : 0) + (ratio > 1 - clipLow ? aNeg : 0)),
  };
}

/** The clipped loss and gradient of a batch as the engine's contract defines them. */
export function onTrie(batch: TrieBatch): Gradient {
  const gradient = new Gradient();
  batch.termNode.forEach((node, term) => {
    const prefix = pathTo(batch, node);
    const target = batch.termTarget[term] ?? -1;
    const behavior = batch.termBehaviorLogprob[term] ?? 0;
    const policy = logprobsOf(prefix)[target] ?? 0;
    const { loss, scale } = clipped(policy, behavior, batch.termAPos[term] ?? 0, batch.termANeg[term] ?? 0);
    gradient.add(prefix, target, loss, scale);
  });
  return gradient;
}

/** The ids from the root to a node. */
export function pathTo(batch: TrieBatch, node: number): number[] {
  let span = batch.spanStart.findLastIndex((start) => start <= node);
  let end = node + 1;
  const path: number[] = [];
  while (span >= 0) {
    path.unshift(...batch.tokens.subarray(batch.spanStart[span], end));
    span = batch.spanParent[span] ?? -1;
    end = batch.spanStart[span + 1] ?? 0;
  }
  return path;
}

/** Rollouts that share, fork, repeat a prompt, cut their history, and change version, over few ids. */
export function randomRollouts(random: Random): LearnedRollout[] {
  const ids = (length: number) => Array.from({ length }, () => random.below(vocabSize));
  const system = ids(3);
  return Array.from({ length: random.between(1, 6) }, () => {
    const turns: SampledTurn[] = [];
    let history = [...system, ...ids(random.below(2))];
    for (let t = random.between(1, 5); t > 0; t--) {
      if (random.chance(0.2)) history = history.slice(0, random.between(3, history.length));
      const turn = turnOf(history, ids(random.between(1, 4)), random);
      turns.push(turn);
      if (!random.chance(0.15)) history = [...turn.prompt, ...turn.completion, ...ids(random.below(3))];
    }
    return { turns, advantage: random.next() * 4 - 2 };
  });
}

function turnOf(prompt: readonly number[], completion: readonly number[], random: Random): SampledTurn {
  const versions = completion.map(() => random.below(2));
  return {
    prompt: Int32Array.from(prompt),
    completion: Int32Array.from(completion),
    behaviorLogprobs: Float32Array.from(completion, (id, i) => {
      const policy = logprobsOf([...prompt, ...completion.slice(0, i)])[id] ?? 0;
      return policy + (versions[i] === 0 ? 0.1 : -0.4) + (random.chance(0.1) ? 0.7 : 0);
    }),
    entropies: Float32Array.from(completion, () => 0.5),
    versions: Int32Array.from(versions),
    fidelity: 'exact',
  };
}
