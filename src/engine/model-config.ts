/**
 * config.json of a Hugging Face folder, to and from the shape that the kernels run.
 *
 * Invariant: a field that would change the mathematics and that the kernels do not have is an error that names it;
 * fields that change nothing here (token ids, caches, library versions) are ignored and carried along.
 */
import { EspalierError } from '../core/errors.ts';
import type { ModelShape } from '../native/native.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** The fields that are read by name; all of them come from a file, so nothing is known of their types. */
type Fields = JsonObject & {
  readonly [Field in
    | 'architectures'
    | 'model_type'
    | 'use_sliding_window'
    | 'layer_types'
    | 'tie_word_embeddings'
    | 'rope_parameters'
    | 'rope_type'
    | 'type'
    | 'rope_theta']?: unknown;
};

/** What each field must be, when it is there, for the kernels to compute the same model. */
const required: readonly { readonly field: string; readonly values: readonly unknown[] }[] = [
  { field: 'hidden_act', values: ['silu', 'swish'] },
  { field: 'attention_bias', values: [false] },
  { field: 'mlp_bias', values: [false] },
  { field: 'attention_dropout', values: [0] },
  { field: 'use_sliding_window', values: [false] },
  { field: 'sliding_window', values: [null] },
  { field: 'rope_scaling', values: [null] },
  { field: 'partial_rotary_factor', values: [1] },
  { field: 'quantization_config', values: [null] },
  { field: 'logit_scale', values: [1, null] },
  { field: 'final_logit_softcapping', values: [null] },
  { field: 'attn_logit_softcapping', values: [null] },
];

/** Reads a Qwen3 configuration. Throws a `config` error that names the field and its value. */
export function parseModelConfig(config: Fields): ModelShape {
  const architectures = config.architectures;
  const architecture = Array.isArray(architectures) ? architectures[0] : undefined;
  if (config.model_type !== 'qwen3' || (architecture !== undefined && architecture !== 'Qwen3ForCausalLM')) {
    const found = architecture ?? config.model_type;
    throw unsupported('architectures', found, 'this engine runs Qwen3ForCausalLM (model_type qwen3)');
  }
  for (const { field, values } of required) {
    const value = config[field];
    if (value === undefined || values.includes(value)) continue;
    if (field === 'sliding_window' && config.use_sliding_window === false) continue;
    throw unsupported(field, value, `this engine computes it as ${JSON.stringify(values[0])}`);
  }
  const layerCount = count(config, 'num_hidden_layers');
  const layerTypes = config.layer_types;
  if (Array.isArray(layerTypes) && layerTypes.some((type) => type !== 'full_attention')) {
    throw unsupported('layer_types', layerTypes, 'every layer must be full_attention');
  }
  const hiddenSize = count(config, 'hidden_size');
  const headCount = count(config, 'num_attention_heads');
  const kvHeadCount = count(config, 'num_key_value_heads');
  const headDim = count(config, 'head_dim');
  if (headCount % kvHeadCount !== 0) {
    throw unsupported('num_key_value_heads', kvHeadCount, `it must divide num_attention_heads, ${headCount}`);
  }
  if (headDim % 2 !== 0) throw unsupported('head_dim', headDim, 'it must be even');
  return {
    vocabSize: count(config, 'vocab_size'),
    hiddenSize,
    intermediateSize: count(config, 'intermediate_size'),
    layerCount,
    headCount,
    kvHeadCount,
    headDim,
    ropeTheta: ropeTheta(config),
    normEpsilon: positive(config, 'rms_norm_eps', 1e-6),
    tiedEmbeddings: config.tie_word_embeddings === true,
    qkNorm: true,
    contextLength: count(config, 'max_position_embeddings'),
  };
}

/** A configuration that vLLM and transformers 4 and 5 load: the rope base stands in the old place and in the new one. */
export function modelConfigOf(shape: ModelShape): JsonObject {
  if (!shape.qkNorm) throw new EspalierError('config', 'a model without QK-norm cannot be written as Qwen3');
  return {
    architectures: ['Qwen3ForCausalLM'],
    model_type: 'qwen3',
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
    rope_theta: shape.ropeTheta,
    rope_parameters: { rope_type: 'default', rope_theta: shape.ropeTheta },
    tie_word_embeddings: shape.tiedEmbeddings,
    attention_bias: false,
    attention_dropout: 0,
    use_sliding_window: false,
    torch_dtype: 'float32',
  };
}

/** A tensor of the model, in the order in which files are written. */
export interface TensorSpec {
  readonly name: string;
  readonly dims: readonly number[];
}

/** Every tensor of a Qwen3 checkpoint with its Hugging Face name and row-major dimensions. */
export function tensorSpecs(shape: ModelShape): TensorSpec[] {
  const { hiddenSize, intermediateSize, headDim } = shape;
  const queries = shape.headCount * headDim;
  const keys = shape.kvHeadCount * headDim;
  const specs: TensorSpec[] = [{ name: 'model.embed_tokens.weight', dims: [shape.vocabSize, hiddenSize] }];
  for (let layer = 0; layer < shape.layerCount; layer++) {
    const add = (name: string, ...dims: number[]) => specs.push({ name: `model.layers.${layer}.${name}.weight`, dims });
    add('input_layernorm', hiddenSize);
    add('self_attn.q_proj', queries, hiddenSize);
    add('self_attn.k_proj', keys, hiddenSize);
    add('self_attn.v_proj', keys, hiddenSize);
    add('self_attn.o_proj', hiddenSize, queries);
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

/** transformers 5 writes `rope_parameters`, which wins; older folders have `rope_theta`. */
function ropeTheta(config: Fields): number {
  const parameters = config.rope_parameters;
  if (typeof parameters !== 'object' || parameters === null) return positive(config, 'rope_theta', 10000);
  const rope = parameters as Fields;
  const kind = rope.rope_type ?? rope.type ?? 'default';
  if (kind !== 'default') throw unsupported('rope_parameters.rope_type', kind, 'only the default rope is computed');
  if (rope.rope_theta === undefined) return positive(config, 'rope_theta', 10000);
  return positive(rope, 'rope_theta', 10000);
}

function count(config: JsonObject, field: string): number {
  const value = config[field];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
  throw unsupported(field, value, 'it must be a whole number above 0');
}

function positive(config: JsonObject, field: string, otherwise: number): number {
  const value = config[field] ?? otherwise;
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
  throw unsupported(field, value, 'it must be a number above 0');
}

function unsupported(field: string, value: unknown, wayOut: string): EspalierError {
  const shown = JSON.stringify(value) ?? 'missing';
  return new EspalierError('config', `config.json: ${field} is ${shown}; ${wayOut}`);
}
