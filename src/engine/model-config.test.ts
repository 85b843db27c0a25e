import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ModelShape } from '../native/native.ts';
import { modelConfigOf, parseModelConfig, sizeOf, tensorSpecs } from './model-config.ts';

const shape: ModelShape = {
  vocabSize: 1024,
  hiddenSize: 128,
  intermediateSize: 384,
  layerCount: 3,
  headCount: 4,
  kvHeadCount: 2,
  headDim: 64,
  ropeTheta: 1e6,
  normEpsilon: 1e-6,
  tiedEmbeddings: false,
  qkNorm: true,
  contextLength: 2048,
};
const ropeScaling = { factor: 32, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContextLength: 8192 };
const llama: ModelShape = { ...shape, qkNorm: false, ropeScaling };
const qwen2: ModelShape = { ...shape, qkNorm: false, attentionBias: 'qkv' };
const scaled = { rope_type: 'llama3', factor: 32, low_freq_factor: 1, high_freq_factor: 4 };
const original = 'original_max_position_embeddings';

test.for([
  ['Qwen3ForCausalLM', shape],
  ['Qwen3ForCausalLM', { ...shape, attentionBias: 'qkvo', ropeScaling }],
  ['Qwen2ForCausalLM', qwen2],
  ['Qwen2ForCausalLM', { ...qwen2, ropeScaling, tiedEmbeddings: true }],
  ['LlamaForCausalLM', llama],
  ['LlamaForCausalLM', { ...shape, qkNorm: false, attentionBias: 'qkvo' }],
] as const)('a shape survives its configuration: %s', ([architecture, given]) => {
  const config = modelConfigOf(given);
  expect(config['architectures']).toEqual([architecture]);
  expect(parseModelConfig(config)).toEqual(given);
  expect(parseModelConfig(JSON.parse(JSON.stringify(config)))).toEqual(given);
});

test('a shape that no architecture has cannot be written', () => {
  expect(() => modelConfigOf({ ...shape, attentionBias: 'qkv' })).toThrow('neither Qwen2 nor Qwen3');
});

test('the rope base is read from the old place and from the new one', () => {
  const { rope_parameters: _, ...old } = modelConfigOf(shape);
  expect(parseModelConfig(old).ropeTheta).toBe(1e6);
  const { rope_theta: __, ...current } = modelConfigOf(shape);
  expect(parseModelConfig(current).ropeTheta).toBe(1e6);
  expect(parseModelConfig({ ...old, rope_parameters: { rope_type: 'default', rope_theta: 5 } }).ropeTheta).toBe(5);
  const { rope_theta: ___, ...neither } = old;
  expect(parseModelConfig(neither).ropeTheta).toBe(10_000);
});

test('llama3 scaling is read from the old place, from the new one, and from both when they agree', () => {
  const { rope_parameters, rope_scaling, ...rest } = modelConfigOf(llama);
  for (const given of [{ rope_parameters }, { rope_scaling }, { rope_parameters, rope_scaling }]) {
    expect(parseModelConfig({ ...rest, ...given })).toEqual(llama);
  }
  const older = { ...rest, rope_scaling: { ...scaled, rope_type: undefined, type: 'llama3', [original]: 8192 } };
  expect(parseModelConfig(older)).toEqual(llama);
  const unsaid = parseModelConfig({ ...rest, rope_scaling: scaled });
  expect(unsaid.ropeScaling?.originalContextLength).toBe(2048);
  expect(parseModelConfig({ ...rest, rope_scaling: null }).ropeScaling).toBeUndefined();
});

test('what a family leaves out is taken as transformers takes it', () => {
  const { head_dim: _, num_key_value_heads: __, tie_word_embeddings: ___, ...rest } = modelConfigOf(llama);
  expect(parseModelConfig(rest)).toMatchObject({ headDim: 32, kvHeadCount: 4, tiedEmbeddings: false });
  const { head_dim: ____, ...second } = modelConfigOf(qwen2);
  expect(parseModelConfig(second)).toMatchObject({ headDim: 32, attentionBias: 'qkv' });
  const { head_dim: _____, ...third } = modelConfigOf(shape);
  expect(() => parseModelConfig(third)).toThrow('head_dim is missing');
});

test('a sliding window that is switched off, or full attention in every layer, changes nothing', () => {
  for (const given of [shape, qwen2]) {
    const off = { use_sliding_window: false, sliding_window: 4096, max_window_layers: 2 };
    expect(parseModelConfig({ ...modelConfigOf(given), ...off })).toEqual(given);
  }
  const layer_types = ['full_attention', 'full_attention', 'full_attention'];
  expect(parseModelConfig({ ...modelConfigOf(shape), layer_types, use_cache: false, pad_token_id: null })).toEqual(
    shape,
  );
});

test.for([
  [{ architectures: ['MistralForCausalLM'], model_type: 'mistral' }, 'architectures is "MistralForCausalLM"'],
  [{ architectures: ['MistralForCausalLM'] }, 'this engine runs LlamaForCausalLM (llama), Qwen2ForCausalLM (qwen2), '],
  [{ architectures: undefined, model_type: 'gemma3' }, 'model_type is "gemma3"; this engine runs LlamaForCausalLM'],
  [{ architectures: ['LlamaForCausalLM'] }, 'architectures is "LlamaForCausalLM"; model_type "qwen3"'],
  [{ hidden_act: 'gelu' }, 'hidden_act is "gelu"'],
  [{ attention_bias: 'yes' }, 'attention_bias is "yes"'],
  [{ model_type: 'qwen2', architectures: undefined, attention_bias: false }, 'attention_bias is false'],
  [{ mlp_bias: true }, 'mlp_bias is true'],
  [{ partial_rotary_factor: 0.5 }, 'partial_rotary_factor is 0.5'],
  [{ quantization_config: { bits: 4 } }, 'quantization_config is {"bits":4}'],
  [{ layer_types: ['sliding_attention'] }, 'layer_types'],
  [{ layer_types: ['full_attention'] }, 'layer_types is ["full_attention"]; each of the 3 layers'],
  [{ use_sliding_window: true }, 'use_sliding_window is true'],
  [{ model_type: 'llama', architectures: undefined, sliding_window: 4096 }, 'sliding_window is 4096'],
  [{ hidden_size: '128' }, 'hidden_size is "128"'],
  [{ hidden_size: 1e12 }, 'hidden_size is 1000000000000'],
  [{ vocab_size: undefined }, 'vocab_size is missing'],
  [{ num_key_value_heads: 3 }, 'num_key_value_heads is 3'],
  [{ head_dim: 63 }, 'head_dim is 63'],
  [{ model_type: 'llama', architectures: undefined, head_dim: null, hidden_size: 130 }, 'head_dim is 32.5'],
  [{ tie_word_embeddings: 1 }, 'tie_word_embeddings is 1'],
  [{ rms_norm_eps: 0 }, 'rms_norm_eps is 0'],
] as const)('a field that would change the mathematics is named: %o', ([change, message]) => {
  expect(() => parseModelConfig({ ...modelConfigOf(shape), ...change })).toThrow(message);
});

test.for([
  [{ rope_scaling: { rope_type: 'yarn', factor: 2 } }, 'rope_scaling.rope_type is "yarn"'],
  [{ rope_scaling: { type: 'linear', factor: 2 } }, 'rope_scaling.type is "linear"'],
  [{ rope_scaling: { rope_type: 'default', type: 'mrope' } }, 'rope_scaling.type is "mrope"'],
  [{ rope_parameters: { rope_type: 'yarn', rope_theta: 1 } }, 'rope_parameters.rope_type is "yarn"'],
  [{ rope_parameters: { full_attention: { rope_theta: 1 } } }, 'rope_parameters.full_attention is {"rope_theta":1}'],
  [{ rope_parameters: { rope_theta: 1, factor: 2 } }, 'rope_parameters.factor is 2; default has no such field'],
  [{ rope_parameters: { rope_theta: '1' } }, 'rope_parameters.rope_theta is "1"'],
  [{ rope_parameters: { partial_rotary_factor: 0.25 } }, 'rope_parameters.partial_rotary_factor is 0.25'],
  [{ rope_parameters: 'default' }, 'rope_parameters is "default"'],
  [{ rope_parameters: null, rope_theta: -1 }, 'rope_theta is -1'],
  [{ rope_scaling: { ...scaled, factor: undefined } }, 'rope_scaling.factor is missing'],
  [{ rope_scaling: { ...scaled, factor: 0.5 } }, 'rope_scaling.factor is 0.5'],
  [{ rope_scaling: { ...scaled, low_freq_factor: 4 } }, 'rope_scaling.high_freq_factor is 4; low_freq_factor is 4'],
  [{ rope_scaling: { ...scaled, [original]: 0.5 } }, `rope_scaling.${original} is 0.5`],
  [{ rope_scaling: { ...scaled, [original]: 8 }, [original]: 9 }, `${original} is 9; rope_scaling.${original} is 8`],
  [{ rope_scaling: scaled }, 'rope_scaling is {"rope_type":"llama3"'],
  [{ rope_scaling: { ...scaled, beta_fast: 1 } }, 'rope_scaling.beta_fast is 1; llama3 has no such field'],
] as const)('a rope that is not computed is named: %o', ([change, message]) => {
  expect(() => parseModelConfig({ ...modelConfigOf(shape), ...change })).toThrow(message);
});

/** What the model cards of the hub say, without fields that change nothing. */
const llamaSizes = {
  num_hidden_layers: 16,
  hidden_act: 'silu',
  rms_norm_eps: 1e-5,
  pretraining_tp: 1,
  use_cache: true,
};
const qwenSizes = { num_hidden_layers: 24, hidden_act: 'silu', rms_norm_eps: 1e-6, attention_dropout: 0 };

test.for([
  [
    'Llama-3.2-1B',
    {
      ...llamaSizes,
      ...{ architectures: ['LlamaForCausalLM'], model_type: 'llama', vocab_size: 128256, hidden_size: 2048 },
      ...{ intermediate_size: 8192, num_attention_heads: 32, num_key_value_heads: 8, head_dim: 64 },
      ...{ max_position_embeddings: 131072, rope_theta: 500000, tie_word_embeddings: true, attention_bias: false },
      rope_scaling: { ...scaled, [original]: 8192 },
    },
    { headDim: 64, ropeTheta: 5e5, tiedEmbeddings: true, qkNorm: false, ropeScaling },
  ],
  [
    'SmolLM2-135M',
    {
      ...llamaSizes,
      ...{ architectures: ['LlamaForCausalLM'], model_type: 'llama', vocab_size: 49152, hidden_size: 576 },
      ...{ intermediate_size: 1536, num_attention_heads: 9, num_key_value_heads: 3, rope_interleaved: false },
      ...{ max_position_embeddings: 8192, rope_theta: 100000, rope_scaling: null, tie_word_embeddings: true },
    },
    { headDim: 64, kvHeadCount: 3, ropeTheta: 1e5, tiedEmbeddings: true },
  ],
  [
    'Qwen2.5-0.5B-Instruct',
    {
      ...qwenSizes,
      ...{ architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2', vocab_size: 151936, hidden_size: 896 },
      ...{ intermediate_size: 4864, num_attention_heads: 14, num_key_value_heads: 2, tie_word_embeddings: true },
      ...{ max_position_embeddings: 32768, rope_theta: 1e6, use_sliding_window: false, sliding_window: 32768 },
      ...{ max_window_layers: 21, use_mrope: false },
    },
    { headDim: 64, attentionBias: 'qkv', qkNorm: false },
  ],
  [
    'Qwen3-0.6B',
    {
      ...qwenSizes,
      ...{ architectures: ['Qwen3ForCausalLM'], model_type: 'qwen3', vocab_size: 151936, hidden_size: 1024 },
      ...{ intermediate_size: 3072, num_attention_heads: 16, num_key_value_heads: 8, head_dim: 128 },
      ...{ max_position_embeddings: 40960, rope_theta: 1e6, rope_scaling: null, attention_bias: false },
      ...{ use_sliding_window: false, sliding_window: null, max_window_layers: 28, tie_word_embeddings: true },
    },
    { headDim: 128, qkNorm: true, contextLength: 40960 },
  ],
] as const)('the configuration of %s is read', ([, config, expected]) => {
  expect(parseModelConfig(config)).toMatchObject(expected);
});

test('a configuration with anything in it gives a shape or an error of one line that names a field', () => {
  const configs = [modelConfigOf(shape), modelConfigOf(llama), modelConfigOf(qwen2)];
  const fields = [...new Set(configs.flatMap((config) => Object.keys(config))), 'layer_types', 'sliding_window'];
  const change = fc.record({ field: fc.constantFrom(...fields), value: fc.jsonValue() });
  fc.assert(
    fc.property(fc.constantFrom(...configs), fc.array(change, { minLength: 1, maxLength: 3 }), (config, changes) => {
      const given = { ...config, ...Object.fromEntries(changes.map(({ field, value }) => [field, value])) };
      try {
        expect(parseModelConfig(given).layerCount).toBeGreaterThan(0);
      } catch (thrown) {
        expect(thrown).toMatchObject({ name: 'ConfigError', message: expect.stringMatching(/^config\.json: \w+.*$/) });
      }
    }),
    { seed: 20261125, numRuns: 1000 },
  );
  const deep = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
  expect(() => parseModelConfig({ ...modelConfigOf(shape), hidden_act: deep })).toThrow(/hidden_act is an array/);
});

test('the tensors of a shape have Hugging Face names, and ties leave the head out', () => {
  const names = tensorSpecs(shape).map(({ name }) => name);
  expect(names).toContain('model.layers.2.self_attn.k_norm.weight');
  expect(names.at(-1)).toBe('lm_head.weight');
  const tied = tensorSpecs({ ...shape, tiedEmbeddings: true });
  expect(tied.at(-1)?.name).toBe('model.norm.weight');
  expect(sizeOf(tensorSpecs(shape)[5]?.dims ?? [])).toBe(128 * 256);
  const biases = (given: ModelShape) => tensorSpecs(given).filter(({ name }) => name.endsWith('.bias'));
  expect(biases(shape)).toEqual([]);
  expect(biases(qwen2).length).toBe(3 * 3);
  expect(biases({ ...llama, attentionBias: 'qkvo' })[3]).toEqual({
    name: 'model.layers.0.self_attn.o_proj.bias',
    dims: [128],
  });
});
