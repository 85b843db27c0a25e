/**
 * Cases for the tests of the native trainer: random weights, random tries with loss terms, and the fp64 twin.
 *
 * Not part of the engine: nothing outside tests and benches imports it. Everything is drawn from the `Random` given.
 */
import type { Random } from '../core/random.ts';
import { loadAddon, type ModelShape, type Tensors, type TrainPlan } from './native.ts';

export const tinyShape: ModelShape = {
  vocabSize: 37,
  hiddenSize: 24,
  intermediateSize: 40,
  layerCount: 2,
  headCount: 4,
  kvHeadCount: 2,
  headDim: 8,
  ropeTheta: 10000,
  normEpsilon: 1e-6,
  tiedEmbeddings: true,
  qkNorm: true,
  contextLength: 1024,
};

/**
 * Shapes that no kernel likes: odd sizes, grouped and ungrouped heads, with and without QK-norm, biases, scaled RoPE and
 * tied embeddings.
 */
export const shapes: Readonly<Record<string, ModelShape>> = {
  'tied, QK-norm': tinyShape,
  'untied, no QK-norm': { ...tinyShape, tiedEmbeddings: false, qkNorm: false },
  'head_dim 24, 3 key/value heads': { ...tinyShape, hiddenSize: 40, headCount: 6, kvHeadCount: 3, headDim: 24 },
  'one head, wide vocabulary': {
    ...tinyShape,
    vocabSize: 301,
    hiddenSize: 33,
    intermediateSize: 50,
    headCount: 1,
    kvHeadCount: 1,
    headDim: 16,
    layerCount: 3,
    tiedEmbeddings: false,
  },
  'Qwen2: biases on q, k, v': { ...tinyShape, qkNorm: false, attentionBias: 'qkv', headDim: 10 },
  'Llama: scaled RoPE, biases on q, k, v, o': {
    ...tinyShape,
    hiddenSize: 22,
    headCount: 6,
    kvHeadCount: 3,
    headDim: 12,
    ropeScaling: { factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContextLength: 128 },
    tiedEmbeddings: false,
    qkNorm: false,
    attentionBias: 'qkvo',
  },
};

/** The names and sizes of a model's tensors, in Hugging Face order. */
export function tensorSizes(shape: ModelShape): [name: string, rows: number, columns: number][] {
  const { hiddenSize: hidden, headDim, intermediateSize: intermediate } = shape;
  const sizes: [string, number, number][] = [['model.embed_tokens.weight', shape.vocabSize, hidden]];
  for (let layer = 0; layer < shape.layerCount; layer++) {
    const prefix = `model.layers.${layer}.`;
    sizes.push(
      [`${prefix}self_attn.q_proj.weight`, shape.headCount * headDim, hidden],
      [`${prefix}self_attn.k_proj.weight`, shape.kvHeadCount * headDim, hidden],
      [`${prefix}self_attn.v_proj.weight`, shape.kvHeadCount * headDim, hidden],
      [`${prefix}self_attn.o_proj.weight`, hidden, shape.headCount * headDim],
    );
    if (shape.attentionBias !== undefined) {
      sizes.push(
        [`${prefix}self_attn.q_proj.bias`, 1, shape.headCount * headDim],
        [`${prefix}self_attn.k_proj.bias`, 1, shape.kvHeadCount * headDim],
        [`${prefix}self_attn.v_proj.bias`, 1, shape.kvHeadCount * headDim],
      );
    }
    if (shape.attentionBias === 'qkvo') sizes.push([`${prefix}self_attn.o_proj.bias`, 1, hidden]);
    if (shape.qkNorm) {
      sizes.push([`${prefix}self_attn.q_norm.weight`, 1, headDim], [`${prefix}self_attn.k_norm.weight`, 1, headDim]);
    }
    sizes.push(
      [`${prefix}mlp.gate_proj.weight`, intermediate, hidden],
      [`${prefix}mlp.up_proj.weight`, intermediate, hidden],
      [`${prefix}mlp.down_proj.weight`, hidden, intermediate],
      [`${prefix}input_layernorm.weight`, 1, hidden],
      [`${prefix}post_attention_layernorm.weight`, 1, hidden],
    );
  }
  sizes.push(['model.norm.weight', 1, hidden]);
  if (!shape.tiedEmbeddings) sizes.push(['lm_head.weight', shape.vocabSize, hidden]);
  return sizes;
}

/** Matrices uniform with deviation 1/sqrt(columns), so that logits are about 1; norm gains about 1, biases about 0.3. */
export function randomTensors(shape: ModelShape, random: Random): Tensors {
  const sizes = tensorSizes(shape);
  return {
    names: sizes.map(([name]) => name),
    data: sizes.map(([name, rows, columns]) => {
      const width = name.endsWith('.bias') ? 0.5 : Math.sqrt(3 / columns);
      const isGain = name.includes('norm');
      const draw = () => (isGain ? 0.8 + 0.4 * random.next() : (2 * random.next() - 1) * width);
      return Float32Array.from({ length: rows * columns }, draw);
    }),
  };
}

export interface TrieWish {
  readonly roots: number;
  readonly spans: number;
  readonly maxSpanTokens: number;
  /** Tokens of the first root, where they are not drawn as those of other spans. */
  readonly trunkTokens?: number;
  /** Chance that a node carries a term, drawn up to three times a node. */
  readonly termChance: number;
}

/** A trie in pre-order with terms of both signs; behavior log-probabilities are near those of a random model. */
export function randomPlan(shape: ModelShape, random: Random, wish: TrieWish): TrainPlan {
  const children: number[][] = [];
  const roots: number[] = [];
  for (let span = 0; span < Math.max(wish.spans, wish.roots); span++) {
    children.push([]);
    if (span < wish.roots) roots.push(span);
    else children[random.below(span)]?.push(span);
  }
  const parents: number[] = [];
  const start: number[] = [0];
  const visit = (span: number, parent: number): void => {
    const at = parents.push(parent) - 1;
    const length =
      at === 0 && wish.trunkTokens !== undefined ? wish.trunkTokens : random.between(1, wish.maxSpanTokens);
    start.push((start.at(-1) ?? 0) + length);
    for (const child of children[span] ?? []) visit(child, at);
  };
  for (const root of roots) visit(root, -1);
  const count = start.at(-1) ?? 0;
  const terms: { node: number; target: number }[] = [];
  for (let node = 0; node < count; node++) {
    for (let i = 0; i < 3; i++) {
      if (random.chance(wish.termChance)) terms.push({ node, target: random.below(shape.vocabSize) });
    }
  }
  const perTerm = (draw: () => number) => Float32Array.from(terms, draw);
  return {
    tokens: Int32Array.from({ length: count }, () => random.below(shape.vocabSize)),
    spanStart: Int32Array.from(start),
    spanParent: Int32Array.from(parents),
    termNode: Int32Array.from(terms, (term) => term.node),
    termTarget: Int32Array.from(terms, (term) => term.target),
    termBehaviorLogprob: perTerm(() => -Math.log(shape.vocabSize) * (0.6 + 0.8 * random.next())),
    termAPos: perTerm(() => (random.chance(0.7) ? random.next() * 2 : 0)),
    termANeg: perTerm(() => (random.chance(0.7) ? -random.next() * 2 : 0)),
    termCount: perTerm(() => random.between(1, 4)),
    objective: 'cross-entropy',
    normalizer: Math.max(1, terms.length),
    clipLow: 0.2,
    clipHigh: 0.28,
    ...adamw,
  };
}

export const adamw = {
  matrices: 'adamw',
  learningRate: 3e-3,
  muonLearningRate: 2e-2,
  muonMomentum: 0.95,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0.1,
  gradientClip: 1,
} as const;

/** The ids from the trie's root to the end of `span`. */
export function pathOf(plan: TrainPlan, span: number): { ids: Int32Array; nodes: number[] } {
  const nodes: number[] = [];
  for (let at = span; at >= 0; at = plan.spanParent[at] ?? -1) {
    const [from = 0, to = 0] = plan.spanStart.slice(at, at + 2);
    nodes.unshift(...Array.from({ length: to - from }, (_, i) => from + i));
  }
  return { ids: Int32Array.from(nodes, (node) => plan.tokens[node] ?? 0), nodes };
}

export interface TwinResult {
  readonly loss: number;
  readonly termLogprobs: Float64Array;
  readonly names: readonly string[];
  readonly data: readonly Float64Array[];
}

export interface Twin {
  /** The whole model, every path flat and cold, in `precision`; `data` are the gradients by name. */
  twin(
    shape: ModelShape,
    tensors: { readonly names: readonly string[]; readonly data: readonly Float64Array[] },
    plan: TrainPlan,
    precision: 'double' | 'float',
    withGradients: boolean,
  ): TwinResult;
}

export function loadTwin(): Twin {
  return loadAddon('espalier-test') as Twin;
}

export function inDouble(tensors: Tensors): { names: readonly string[]; data: Float64Array[] } {
  return { names: tensors.names, data: tensors.data.map((values) => Float64Array.from(values)) };
}

/** ||a - b|| / ||b||, summed in double; 0 where both are zero. */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let difference = 0;
  let size = 0;
  for (let i = 0; i < b.length; i++) {
    difference += ((a[i] ?? Number.NaN) - (b[i] ?? 0)) ** 2;
    size += (b[i] ?? 0) ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / size);
}
