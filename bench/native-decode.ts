/**
 * Tokens per second of the native forward for one small Qwen3 (hidden 128, 4 layers, 4 heads of 32, 2 key/value heads,
 * intermediate 352, vocabulary 1,280: 0.9 M parameters, random weights) at context 256.
 *
 * Measures: `forward` calls from JavaScript, one a step, draws included; the best of several windows, since other
 * work on the machine only slows a window down.
 * Does not measure: the sampler above it, streaming, tokenizing.
 *
 *   node bench/native-decode.ts
 */
import { cpus } from 'node:os';
import { Random, seedOf } from '../src/core/random.ts';
import { type Cache, type ForwardPlan, loadNative, type ModelShape, type Weights } from '../src/native/native.ts';

const shape: ModelShape = {
  vocabSize: 1280,
  hiddenSize: 128,
  intermediateSize: 352,
  layerCount: 4,
  headCount: 4,
  kvHeadCount: 2,
  headDim: 32,
  ropeTheta: 10_000,
  normEpsilon: 1e-6,
  tiedEmbeddings: true,
  qkNorm: true,
  contextLength: 1024,
};
const context = 256;
const native = loadNative();
const blockTokens = native.cacheBlockTokens();

function randomWeights(): Weights {
  const random = new Random(seedOf('bench'));
  const names: string[] = [];
  const data: Float32Array[] = [];
  const add = (name: string, rows: number, columns: number): void => {
    names.push(name);
    data.push(Float32Array.from({ length: rows * columns }, () => (rows === 1 ? 1 : (random.next() - 0.5) * 0.1)));
  };
  const { hiddenSize: hidden, headDim, intermediateSize: inner } = shape;
  add('model.embed_tokens.weight', shape.vocabSize, hidden);
  for (let layer = 0; layer < shape.layerCount; layer++) {
    const at = `model.layers.${layer}.`;
    add(`${at}input_layernorm.weight`, 1, hidden);
    add(`${at}self_attn.q_proj.weight`, shape.headCount * headDim, hidden);
    add(`${at}self_attn.k_proj.weight`, shape.kvHeadCount * headDim, hidden);
    add(`${at}self_attn.v_proj.weight`, shape.kvHeadCount * headDim, hidden);
    add(`${at}self_attn.q_norm.weight`, 1, headDim);
    add(`${at}self_attn.k_norm.weight`, 1, headDim);
    add(`${at}self_attn.o_proj.weight`, hidden, shape.headCount * headDim);
    add(`${at}post_attention_layernorm.weight`, 1, hidden);
    add(`${at}mlp.gate_proj.weight`, inner, hidden);
    add(`${at}mlp.up_proj.weight`, inner, hidden);
    add(`${at}mlp.down_proj.weight`, hidden, inner);
  }
  add('model.norm.weight', 1, hidden);
  return native.createWeights(shape, { names, data });
}

/** Every sequence brings `tokens` tokens at `position`; sequence b owns blocks [b * perSequence, ...). */
function planOf(batch: number, tokens: number, position: number, draw: boolean): ForwardPlan {
  const perSequence = Math.ceil(shape.contextLength / blockTokens);
  return {
    tokens: Int32Array.from({ length: batch * tokens }, (_, i) => (i * 31 + position) % shape.vocabSize),
    tokenStart: Int32Array.from({ length: batch + 1 }, (_, b) => b * tokens),
    firstPosition: new Int32Array(batch).fill(position),
    blockStart: Int32Array.from({ length: batch + 1 }, (_, b) => b * perSequence),
    blocks: Int32Array.from({ length: batch * perSequence }, (_, i) => i),
    draw: new Uint8Array(batch).fill(draw ? 1 : 0),
    temperature: new Float32Array(batch).fill(1),
    seed: BigUint64Array.from({ length: batch }, (_, b) => BigInt(b)),
  };
}

/** Tokens a second of the best of `windows` windows of `steps` forwards. */
async function best(weights: Weights, cache: Cache, plan: ForwardPlan, steps: number, windows = 12): Promise<number> {
  let rate = 0;
  for (let window = 0; window < windows; window++) {
    const start = performance.now();
    for (let step = 0; step < steps; step++) await native.forward(weights, cache, plan);
    rate = Math.max(rate, (plan.tokens.length * steps * 1000) / (performance.now() - start));
  }
  return rate;
}

const weights = randomWeights();
console.log(`${cpus()[0]?.model}, ${native.instructionSet()}`);
for (const threads of [1, 2]) {
  native.setThreads(threads);
  for (const batch of [1, 4, 8, 32]) {
    const cache = native.createCache(shape, batch * Math.ceil(shape.contextLength / blockTokens));
    await native.forward(weights, cache, planOf(batch, context, 0, false));
    const decode = await best(weights, cache, planOf(batch, 1, context, true), Math.ceil(400 / batch));
    const prefill = await best(weights, cache, planOf(batch, context, 0, false), 2, 6);
    console.log(
      `threads ${threads}, batch ${batch}: decode ${Math.round(decode)} tokens/s, prefill ${Math.round(prefill)} tokens/s`,
    );
  }
}
