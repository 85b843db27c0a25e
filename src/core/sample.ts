/**
 * What is learned from one token, apart from where it is computed.
 *
 * Several terms may hang on one trie node: equal tokens sampled under different versions, or sampled here and prompt
 * there, share compute and keep terms of their own (docs/architecture.md, "Compute trie and loss terms").
 */
export interface LossTerm {
  /** Index, in the trie's depth-first token order, of the node whose logits predict the target. */
  readonly node: number;
  /** The token id that is learned. */
  readonly target: number;
  /** Log-probability that the behaviour policy gave it; 0 where the objective needs none (SFT). */
  readonly behaviorLogprob: number;
  /** Sum of the positive advantages of the trajectories through the target. */
  readonly aPos: number;
  /** Sum of the negative ones. Kept apart because clipping is piecewise in the sign. */
  readonly aNeg: number;
  /** Weight of the plain terms (cross-entropy, KL, entropy): the number of trajectories, or an SFT weight. */
  readonly count: number;
}
