/**
 * A native side whose model is a hash: what follows a prefix depends on every id of it and on nothing else.
 *
 * Its cache holds the ids themselves, and `forward` reads the prefix back from the blocks that it is given. So a wrong
 * block, a missed copy or a block freed too early gives other tokens, and tests of scheduling need no arithmetic.
 *
 * Training adds 1 to a weight that enters the hash.
 */
import type {
  Cache,
  ForwardPlan,
  ForwardResult,
  ModelShape,
  Native,
  Tensors,
  TrainerState,
  TrainOutcome,
  TrainPlan,
  Weights,
} from '../../src/native/native.ts';

export const hashBlockTokens = 8;

interface HashWeights {
  readonly shape: ModelShape;
  readonly tensors: Tensors;
  readonly salt: number;
}

interface HashTrainer {
  weights: HashWeights;
  steps: number;
}

export class HashNative implements Native {
  forwards = 0;
  /** Called in each forward call with its number, from 1. */
  onForward: (call: number) => void = () => {};
  /** The forward call, from 1, that rejects. */
  forwardFails = 0;
  /** Largest number of tokens and of sequences in one forward call. */
  mostTokens = 0;
  mostSequences = 0;
  #busy = false;

  instructionSet(): string {
    return 'hash';
  }

  setThreads(): void {}

  cacheBlockTokens(): number {
    return hashBlockTokens;
  }

  /** An id is four bytes. */
  cacheBlockBytes(): number {
    return 4 * hashBlockTokens;
  }

  createWeights(shape: ModelShape, tensors: Tensors): Weights {
    const last = tensors.data.at(-1) as Float32Array;
    return handle<Weights>({ shape, tensors, salt: last[0] as number } satisfies HashWeights);
  }

  exportWeights(weights: Weights): Tensors {
    return open<HashWeights>(weights).tensors;
  }

  createCache(_shape: ModelShape, blockCount: number): Cache {
    return handle<Cache>(new Int32Array(blockCount * hashBlockTokens).fill(-1));
  }

  copyBlock(cache: Cache, from: number, to: number, tokenCount: number): void {
    if (this.#busy) throw new Error('a block was copied during a forward call');
    const ids = open<Int32Array>(cache);
    ids.fill(-1, to * hashBlockTokens, (to + 1) * hashBlockTokens);
    ids.copyWithin(to * hashBlockTokens, from * hashBlockTokens, from * hashBlockTokens + tokenCount);
  }

  async forward(weights: Weights, cache: Cache, plan: ForwardPlan): Promise<ForwardResult> {
    if (this.#busy) throw new Error('two forward calls share a cache');
    this.#busy = true;
    await new Promise((resolve) => setImmediate(resolve));
    this.#busy = false;
    this.onForward(++this.forwards);
    if (this.forwards === this.forwardFails) throw new Error('planted failure');
    const size = plan.temperature.length;
    this.mostTokens = Math.max(this.mostTokens, plan.tokens.length);
    this.mostSequences = Math.max(this.mostSequences, size);
    const model = open<HashWeights>(weights);
    const result = {
      ids: new Int32Array(size).fill(-1),
      logprobs: new Float32Array(size),
      entropies: new Float32Array(size),
    };
    for (let b = 0; b < size; b++) {
      const prefix = writeAndRead(open<Int32Array>(cache), plan, b);
      if (plan.draw[b] === 0) continue;
      const state = hashOf(model, prefix, prefix.length);
      const greedy = plan.temperature[b] === 0;
      const seed = Number((plan.seed[b] as bigint) & 0x7fffffffn);
      const id = (greedy ? state : mix(state ^ mix(seed + prefix.length))) % model.shape.vocabSize;
      result.ids[b] = id;
      result.logprobs[b] = logprobOf(state, id);
      result.entropies[b] = (state % 97) / 97;
    }
    return result;
  }

  async score(weights: Weights, ids: Int32Array): Promise<Float32Array> {
    const model = open<HashWeights>(weights);
    return Float32Array.from({ length: ids.length - 1 }, (_, i) =>
      logprobOf(hashOf(model, ids, i + 1), ids[i + 1] as number),
    );
  }

  async logits(): Promise<Float32Array> {
    throw new Error('a hash has no logits');
  }

  createTrainer(weights: Weights): TrainerState {
    return handle<TrainerState>({ weights: open<HashWeights>(weights), steps: 0 } satisfies HashTrainer);
  }

  async accumulate(): Promise<TrainOutcome> {
    throw new Error('a hash has no gradients');
  }

  async train(trainer: TrainerState, plan: TrainPlan): Promise<TrainOutcome> {
    const state = open<HashTrainer>(trainer);
    const termLogprobs = new Float32Array(plan.termNode.length);
    plan.termNode.forEach((node, i) => {
      const prefix = pathTo(plan, node);
      termLogprobs[i] = logprobOf(hashOf(state.weights, prefix, prefix.length), plan.termTarget[i] as number);
    });
    const data = state.weights.tensors.data.map((values) => values.slice());
    const last = data.at(-1) as Float32Array;
    last[0] = (last[0] as number) + 1;
    const tensors = { names: state.weights.tensors.names, data };
    state.weights = { ...state.weights, tensors, salt: last[0] };
    state.steps++;
    const loss = -termLogprobs.reduce((sum, each) => sum + each, 0);
    return { loss, gradientNorm: 1, clipFraction: 0, forwardTokens: plan.tokens.length, pieces: 1, termLogprobs };
  }

  async gradients(): Promise<Tensors> {
    throw new Error('a hash has no gradients');
  }

  trainedWeights(trainer: TrainerState): Weights {
    return handle<Weights>(open<HashTrainer>(trainer).weights);
  }

  exportOptimizer(trainer: TrainerState): Tensors {
    return { names: ['steps'], data: [Float32Array.of(open<HashTrainer>(trainer).steps)] };
  }

  importOptimizer(trainer: TrainerState, tensors: Tensors): void {
    open<HashTrainer>(trainer).steps = tensors.data[0]?.[0] as number;
  }
}

/** Handles are opaque to TypeScript on both sides; here they are the objects themselves. */
function handle<Kind>(value: object): Kind {
  return value as Kind;
}

function open<Value>(value: unknown): Value {
  return value as Value;
}

/** Writes sequence b's new tokens into its blocks, then reads its whole prefix from them. */
function writeAndRead(cache: Int32Array, plan: ForwardPlan, b: number): Int32Array {
  const from = plan.tokenStart[b] as number;
  const count = (plan.tokenStart[b + 1] as number) - from;
  const first = plan.firstPosition[b] as number;
  const blocks = plan.blocks.subarray(plan.blockStart[b], plan.blockStart[b + 1]);
  const slot = (position: number) =>
    (blocks[Math.floor(position / hashBlockTokens)] as number) * hashBlockTokens + (position % hashBlockTokens);
  for (let i = 0; i < count; i++) cache[slot(first + i)] = plan.tokens[from + i] as number;
  return Int32Array.from({ length: first + count }, (_, position) => cache[slot(position)] as number);
}

function pathTo(plan: TrainPlan, node: number): Int32Array {
  let span = plan.spanParent.length - 1;
  while ((plan.spanStart[span] as number) > node) span--;
  const ids: number[] = [];
  for (let end = node + 1; span >= 0; span = plan.spanParent[span] as number) {
    ids.unshift(...plan.tokens.subarray(plan.spanStart[span], Math.min(end, plan.spanStart[span + 1] as number)));
    end = plan.tokens.length;
  }
  return Int32Array.from(ids);
}

function hashOf(model: HashWeights, ids: Int32Array, length: number): number {
  let state = mix(Math.round(model.salt * 1000));
  for (let i = 0; i < length; i++) state = mix(state ^ (ids[i] as number) ^ (i << 16));
  return state;
}

function logprobOf(state: number, id: number): number {
  return -(mix(state + id) % 1000) / 250;
}

function mix(value: number): number {
  let z = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 1;
}
