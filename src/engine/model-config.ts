/**
 * config.json of a Hugging Face folder, to and from the shape that the kernels run: Llama, Qwen2 and Qwen3.
 *
 * Invariant: a field that would change the mathematics and that the kernels do not have is an error that names it;
 * fields that change nothing here (token ids, caches, library versions) are ignored and carried along.
 */
import { EspalierError } from '../core/errors.ts';
import type { ModelShape } from '../native/native.ts';
import { count, type JsonObject, optionalCount, positive, shown, unsupported } from './model-config-field.ts';
import { readRope, ropeFields } from './model-config-rope.ts';

export type { JsonObject } from './model-config-field.ts';

/** The fields that are read by name; all of them come from a file, so nothing is known of their types. */
type Fields = JsonObject & {
  readonly [Field in
    | 'architectures'
    | 'model_type'
    | 'layer_types'
    | 'tie_word_embeddings'
    | 'attention_bias'
    | 'rope_parameters'
    | 'rope_theta']?: unknown;
};

type AttentionBias = ModelShape['attentionBias'];

interface Family {
  readonly architecture: string;
  readonly modelType: string;
  readonly qkNorm: boolean;
  /** What an attention_bias of true or false means; null where the family does not have that choice. */
  readonly biases: { readonly [Value in 'true' | 'false']: AttentionBias | null };
  /** True where transformers takes a `head_dim` or `num_key_value_heads` that is missing from the other sizes. */
  readonly derivesHeadDim: boolean;
  readonly derivesKeyHeads: boolean;
  /** `sliding_window` means something only where `use_sliding_window`, a field of its own, is true. */
  readonly switchesSlidingWindow: boolean;
}

const llama: Family = {
  architecture: 'LlamaForCausalLM',
  modelType: 'llama',
  qkNorm: false,
  biases: { true: 'qkvo', false: undefined },
  derivesHeadDim: true,
  derivesKeyHeads: true,
  switchesSlidingWindow: false,
};
const qwen2: Family = {
  architecture: 'Qwen2ForCausalLM',
  modelType: 'qwen2',
  qkNorm: false,
  biases: { true: 'qkv', false: null },
  derivesHeadDim: true,
  derivesKeyHeads: false,
  switchesSlidingWindow: true,
};
const qwen3: Family = {
  architecture: 'Qwen3ForCausalLM',
  modelType: 'qwen3',
  qkNorm: true,
  biases: { true: 'qkvo', false: undefined },
  derivesHeadDim: false,
  derivesKeyHeads: false,
  switchesSlidingWindow: true,
};
const families = [llama, qwen2, qwen3] as const;

/** What each field must be, when it is there, for the kernels to compute the same model. */
const required: readonly { readonly field: string; readonly values: readonly unknown[] }[] = [
  { field: 'hidden_act', values: ['silu', 'swish'] },
  { field: 'mlp_bias', values: [false] },
  { field: 'attention_dropout', values: [0] },
  { field: 'use_sliding_window', values: [false, null] },
  { field: 'sliding_window', values: [null] },
  { field: 'partial_rotary_factor', values: [1, null] },
  { field: 'quantization_config', values: [null] },
  { field: 'compression_config', values: [null] },
  { field: 'logit_scale', values: [1, null] },
  { field: 'final_logit_softcapping', values: [null] },
  { field: 'attn_logit_softcapping', values: [null] },
  { field: 'clip_qkv', values: [null] },
  { field: 'rope_interleaved', values: [false, null] },
  { field: 'use_mrope', values: [false, null] },
  { field: 'is_causal', values: [true, null] },
];

/** Reads a configuration. Throws a `config` error that names the field and its value. */
export function parseModelConfig(config: Fields): ModelShape {
  const family = familyOf(config);
  for (const { field, values } of required) {
    const value = config[field];
    if (value === undefined || values.includes(value)) continue;
    if (field === 'sliding_window' && family.switchesSlidingWindow) continue;
    throw unsupported(field, value, `this engine computes it as ${JSON.stringify(values[0])}`);
  }
  const layerCount = count(config, 'num_hidden_layers');
  checkLayerTypes(config.layer_types, layerCount);
  const hiddenSize = count(config, 'hidden_size');
  const headCount = count(config, 'num_attention_heads');
  const kvHeadCount = family.derivesKeyHeads
    ? optionalCount(config, 'num_key_value_heads', headCount)
    : count(config, 'num_key_value_heads');
  if (headCount % kvHeadCount !== 0) {
    throw unsupported('num_key_value_heads', kvHeadCount, `it must divide num_attention_heads, ${headCount}`);
  }
  const headDim = family.derivesHeadDim
    ? optionalCount(config, 'head_dim', hiddenSize / headCount)
    : count(config, 'head_dim');
  if (headDim % 2 !== 0) throw unsupported('head_dim', headDim, 'it must be even');
  const tied = config.tie_word_embeddings ?? false;
  if (typeof tied !== 'boolean') throw unsupported('tie_word_embeddings', tied, 'it must be true or false');
  const contextLength = count(config, 'max_position_embeddings');
  const { theta, scaling } = readRope(config, contextLength);
  const bias = attentionBias(family, config.attention_bias);
  return {
    vocabSize: count(config, 'vocab_size'),
    hiddenSize,
    intermediateSize: count(config, 'intermediate_size'),
    layerCount,
    headCount,
    kvHeadCount,
    headDim,
    ropeTheta: theta,
    ...(scaling !== undefined && { ropeScaling: scaling }),
    normEpsilon: positive(config, 'rms_norm_eps', 1e-6),
    tiedEmbeddings: tied,
    qkNorm: family.qkNorm,
    ...(bias !== undefined && { attentionBias: bias }),
    contextLength,
  };
}

/** A configuration that vLLM and transformers 4 and 5 load: the rope stands in the old place and in the new one. */
export function modelConfigOf(shape: ModelShape): JsonObject {
  const family = familyFor(shape);
  return {
    architectures: [family.architecture],
    model_type: family.modelType,
    vocab_size: shape.vocabSize,
    hidden_size: shape.hiddenSize,
    intermediate_size: shape.intermediateSize,
    num_hidden_layers: shape.layerCount,
    num_attention_heads: shape.headCount,
    num_key_value_heads: shape.kvHeadCount,
    head_dim: shape.headDim,
    hidden_act: 'silu',
    max_position_embeddings: shape.contextLength,
    rms_norm_eps: shape.normEpsilon,
    ...ropeFields(shape),
    tie_word_embeddings: shape.tiedEmbeddings,
    ...(family !== qwen2 && { attention_bias: shape.attentionBias !== undefined }),
    attention_dropout: 0,
    ...(family === llama ? { mlp_bias: false } : { use_sliding_window: false }),
    torch_dtype: 'float32',
  };
}

/** A tensor of the model, in the order in which files are written. */
export interface TensorSpec {
  readonly name: string;
  readonly dims: readonly number[];
}

/** Every tensor of a checkpoint with its Hugging Face name and row-major dimensions. */
export function tensorSpecs(shape: ModelShape): TensorSpec[] {
  const { hiddenSize, intermediateSize, headDim } = shape;
  const queries = shape.headCount * headDim;
  const keys = shape.kvHeadCount * headDim;
  const specs: TensorSpec[] = [{ name: 'model.embed_tokens.weight', dims: [shape.vocabSize, hiddenSize] }];
  for (let layer = 0; layer < shape.layerCount; layer++) {
    const push = (name: string, ...dims: number[]) => specs.push({ name: `model.layers.${layer}.${name}`, dims });
    const add = (name: string, ...dims: number[]) => push(`${name}.weight`, ...dims);
    const project = (name: string, outputs: number, inputs: number, hasBias: boolean) => {
      add(`self_attn.${name}`, outputs, inputs);
      if (hasBias) push(`self_attn.${name}.bias`, outputs);
    };
    add('input_layernorm', hiddenSize);
    project('q_proj', queries, hiddenSize, shape.attentionBias !== undefined);
    project('k_proj', keys, hiddenSize, shape.attentionBias !== undefined);
    project('v_proj', keys, hiddenSize, shape.attentionBias !== undefined);
    project('o_proj', hiddenSize, queries, shape.attentionBias === 'qkvo');
    if (shape.qkNorm) {
      add('self_attn.q_norm', headDim);
      add('self_attn.k_norm', headDim);
    }
    add('post_attention_layernorm', hiddenSize);
    add('mlp.gate_proj', intermediateSize, hiddenSize);
    add('mlp.up_proj', intermediateSize, hiddenSize);
    add('mlp.down_proj', hiddenSize, intermediateSize);
  }
  specs.push({ name: 'model.norm.weight', dims: [hiddenSize] });
  if (!shape.tiedEmbeddings) specs.push({ name: 'lm_head.weight', dims: [shape.vocabSize, hiddenSize] });
  return specs;
}

export function sizeOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** By `model_type`, as transformers does; `architectures`, where it is given, must say the same. */
function familyOf(config: Fields): Family {
  const { architectures, model_type: modelType } = config;
  const architecture = Array.isArray(architectures) ? architectures[0] : architectures;
  const family = families.find((each) => each.modelType === modelType);
  const isNamed = architecture === undefined || architecture === null || architecture === family?.architecture;
  if (family !== undefined && isNamed) return family;
  const wayOut = `this engine runs ${families.map((each) => `${each.architecture} (${each.modelType})`).join(', ')}`;
  if (architecture === undefined || architecture === null) throw unsupported('model_type', modelType, wayOut);
  throw unsupported('architectures', architecture, `model_type ${shown(modelType)}; ${wayOut}`);
}

function familyFor({ qkNorm, attentionBias }: ModelShape): Family {
  if (!qkNorm) return attentionBias === 'qkv' ? qwen2 : llama;
  if (attentionBias !== 'qkv') return qwen3;
  throw new EspalierError('config', 'a model with QK-norm and biases on q, k, v alone is neither Qwen2 nor Qwen3');
}

function attentionBias(family: Family, value: unknown): AttentionBias {
  // Qwen2 has no such field and always has biases.
  const wanted = value ?? family === qwen2;
  const bias = wanted === true || wanted === false ? family.biases[`${wanted}`] : null;
  if (bias !== null) return bias;
  throw unsupported('attention_bias', value, `${family.modelType} has biases on q, k and v or says true or false`);
}

function checkLayerTypes(types: unknown, layerCount: number): void {
  if (types === undefined || types === null) return;
  const isFull =
    Array.isArray(types) && types.length === layerCount && types.every((type) => type === 'full_attention');
  if (!isFull) throw unsupported('layer_types', types, `each of the ${layerCount} layers must be full_attention`);
}
