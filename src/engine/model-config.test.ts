import { expect, test } from 'vitest';
import { modelConfigOf, parseModelConfig, sizeOf, tensorSpecs } from './model-config.ts';

const shape = {
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

test('a shape survives its configuration', () => {
  expect(parseModelConfig(modelConfigOf(shape))).toEqual(shape);
});

test('the rope base is read from the old place and from the new one', () => {
  const { rope_parameters: _, ...old } = modelConfigOf(shape);
  expect(parseModelConfig(old).ropeTheta).toBe(1e6);
  const { rope_theta: __, ...current } = modelConfigOf(shape);
  expect(parseModelConfig(current).ropeTheta).toBe(1e6);
  expect(parseModelConfig({ ...old, rope_parameters: { rope_type: 'default', rope_theta: 5 } }).ropeTheta).toBe(5);
});

test.for([
  [{ architectures: ['LlamaForCausalLM'], model_type: 'llama' }, 'LlamaForCausalLM'],
  [{ hidden_act: 'gelu' }, 'hidden_act is "gelu"'],
  [{ attention_bias: true }, 'attention_bias is true'],
  [{ rope_scaling: { rope_type: 'yarn' } }, 'rope_scaling'],
  [{ rope_parameters: { rope_type: 'yarn', rope_theta: 1 } }, 'rope_parameters.rope_type is "yarn"'],
  [{ layer_types: ['sliding_attention'] }, 'layer_types'],
  [{ use_sliding_window: true }, 'use_sliding_window'],
  [{ hidden_size: '128' }, 'hidden_size is "128"'],
  [{ vocab_size: undefined }, 'vocab_size is missing'],
  [{ num_key_value_heads: 3 }, 'num_key_value_heads is 3'],
] as const)('a field that would change the mathematics is named: %o', ([change, message]) => {
  expect(() => parseModelConfig({ ...modelConfigOf(shape), ...change })).toThrow(message);
});

test('the tensors of a shape have Hugging Face names, and ties leave the head out', () => {
  const names = tensorSpecs(shape).map(({ name }) => name);
  expect(names).toContain('model.layers.2.self_attn.k_norm.weight');
  expect(names.at(-1)).toBe('lm_head.weight');
  const tied = tensorSpecs({ ...shape, tiedEmbeddings: true });
  expect(tied.at(-1)?.name).toBe('model.norm.weight');
  expect(sizeOf(tensorSpecs(shape)[5]?.dims ?? [])).toBe(128 * 256);
});
