/** One step of continuous batching: which running sequences bring how many tokens, and the plan that says so. */
import { noTruncation } from '../../../core/truncation.ts';
import type { ForwardPlan } from '../../../native/native.ts';
import type { Sequence } from './sequence.ts';

/** A sequence's share of a step: positions [computed, computed + count). */
export interface StepShare {
  readonly sequence: Sequence;
  readonly count: number;
}

/** Every decoding sequence brings its token; prompts share what is left of the budget, oldest first. */
export function shareStep(sequences: readonly Sequence[], stepTokens: number): StepShare[] {
  const decoding = sequences.filter((sequence) => !sequence.prefilling);
  const shares: StepShare[] = decoding.map((sequence) => ({ sequence, count: 1 }));
  let left = Math.max(stepTokens - shares.length, shares.length === 0 ? 1 : 0);
  for (const sequence of sequences) {
    if (left === 0) break;
    if (!sequence.prefilling) continue;
    const count = Math.min(sequence.promptLength - sequence.computed, left);
    shares.push({ sequence, count });
    left -= count;
  }
  return shares;
}

/** The sequences' blocks must reach to the end of their shares. */
export function planStep(shares: readonly StepShare[]): ForwardPlan {
  const size = shares.length;
  const tokenStart = new Int32Array(size + 1);
  const blockStart = new Int32Array(size + 1);
  shares.forEach(({ sequence, count }, b) => {
    tokenStart[b + 1] = (tokenStart[b] as number) + count;
    blockStart[b + 1] = (blockStart[b] as number) + sequence.path.length;
  });
  const plan = {
    tokens: new Int32Array(tokenStart[size] as number),
    tokenStart,
    firstPosition: new Int32Array(size),
    blockStart,
    blocks: new Int32Array(blockStart[size] as number),
    draw: new Uint8Array(size),
    temperature: new Float32Array(size),
    topK: new Int32Array(size),
    topP: new Float32Array(size),
    minP: new Float32Array(size),
    seed: new BigUint64Array(size),
  };
  shares.forEach(({ sequence, count }, b) => {
    const { computed, path, request } = sequence;
    plan.tokens.set(sequence.ids.subarray(computed, computed + count), tokenStart[b] as number);
    plan.firstPosition[b] = computed;
    for (let i = 0; i < path.length; i++) plan.blocks[(blockStart[b] as number) + i] = path[i]?.block as number;
    plan.draw[b] = computed + count === sequence.length ? 1 : 0;
    const { temperature, truncation = noTruncation } = request.sampling;
    plan.temperature[b] = temperature;
    plan.topK[b] = truncation.topK;
    plan.topP[b] = truncation.topP;
    plan.minP[b] = truncation.minP;
    plan.seed[b] = BigInt.asUintN(64, request.seed);
  });
  return plan;
}
