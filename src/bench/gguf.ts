/**
 * A model as llama.cpp reads it: GGUF version 3, architecture `llama`, 32-bit floats.
 *
 * Only for comparisons: the vocabulary is made up, so nothing can be tokenized with it. Not covered: q/k norms, biases,
 * scaled RoPE, untied embeddings (each is refused).
 */
import { open } from 'node:fs/promises';
import { EspalierError } from '../core/errors.ts';
import { tensorSpecs } from '../engine/model-config.ts';
import type { ModelShape, Tensors } from '../native/native.ts';

const alignment = 32;
const valueType = { uint32: 4, int32: 5, float32: 6, string: 8, array: 9 } as const;
const float32Tensor = 0;

const names: Readonly<Record<string, string>> = {
  'input_layernorm.weight': 'attn_norm.weight',
  'self_attn.q_proj.weight': 'attn_q.weight',
  'self_attn.k_proj.weight': 'attn_k.weight',
  'self_attn.v_proj.weight': 'attn_v.weight',
  'self_attn.o_proj.weight': 'attn_output.weight',
  'post_attention_layernorm.weight': 'ffn_norm.weight',
  'mlp.gate_proj.weight': 'ffn_gate.weight',
  'mlp.up_proj.weight': 'ffn_up.weight',
  'mlp.down_proj.weight': 'ffn_down.weight',
};

function ggufName(name: string): string {
  if (name === 'model.embed_tokens.weight') return 'token_embd.weight';
  if (name === 'model.norm.weight') return 'output_norm.weight';
  const [, layer = '', rest = ''] = /^model\.layers\.(\d+)\.(.+)$/.exec(name) ?? [];
  return `blk.${layer}.${names[rest] as string}`;
}

/** llama.cpp pairs neighbors where Hugging Face pairs halves: row 2i + j of a head was row i + j * headDim / 2. */
function interleaved(data: Float32Array, columns: number, headDim: number): Float32Array {
  const turned = new Float32Array(data.length);
  const half = headDim / 2;
  for (let row = 0; row < data.length / columns; row++) {
    const within = row % headDim;
    const from = row - within + (within >> 1) + (within % 2) * half;
    turned.set(data.subarray(from * columns, (from + 1) * columns), row * columns);
  }
  return turned;
}

class Bytes {
  readonly parts: Buffer[] = [];
  uint32(value: number): this {
    const part = Buffer.alloc(4);
    part.writeUInt32LE(value);
    this.parts.push(part);
    return this;
  }
  uint64(value: number): this {
    const part = Buffer.alloc(8);
    part.writeBigUInt64LE(BigInt(value));
    this.parts.push(part);
    return this;
  }
  float32(value: number): this {
    const part = Buffer.alloc(4);
    part.writeFloatLE(value);
    this.parts.push(part);
    return this;
  }
  string(text: string): this {
    const bytes = Buffer.from(text);
    this.uint64(bytes.length).parts.push(bytes);
    return this;
  }
}

function metadata(shape: ModelShape): { readonly count: number; readonly bytes: Buffer } {
  const to = new Bytes();
  let count = 0;
  const key = (name: string, type: number): Bytes => {
    count += 1;
    return to.string(name).uint32(type);
  };
  const text = (name: string, value: string) => key(name, valueType.string).string(value);
  const whole = (name: string, value: number) => key(name, valueType.uint32).uint32(value);
  const real = (name: string, value: number) => key(name, valueType.float32).float32(value);
  const list = (name: string, type: number, length: number) => key(name, valueType.array).uint32(type).uint64(length);
  text('general.architecture', 'llama');
  whole('general.alignment', alignment);
  whole('llama.vocab_size', shape.vocabSize);
  whole('llama.context_length', shape.contextLength);
  whole('llama.embedding_length', shape.hiddenSize);
  whole('llama.block_count', shape.layerCount);
  whole('llama.feed_forward_length', shape.intermediateSize);
  whole('llama.attention.head_count', shape.headCount);
  whole('llama.attention.head_count_kv', shape.kvHeadCount);
  whole('llama.rope.dimension_count', shape.headDim);
  real('llama.attention.layer_norm_rms_epsilon', shape.normEpsilon);
  real('llama.rope.freq_base', shape.ropeTheta);
  text('tokenizer.ggml.model', 'gpt2');
  text('tokenizer.ggml.pre', 'default');
  whole('tokenizer.ggml.bos_token_id', 0);
  whole('tokenizer.ggml.eos_token_id', 0);
  const tokens = list('tokenizer.ggml.tokens', valueType.string, shape.vocabSize);
  for (let id = 0; id < shape.vocabSize; id++) tokens.string(`t${id}`);
  list('tokenizer.ggml.merges', valueType.string, 1).string('t 0');
  return { count, bytes: Buffer.concat(to.parts) };
}

/** Throws `config` for a shape that it cannot write. */
export async function writeGguf(path: string, shape: ModelShape, weights: Tensors): Promise<void> {
  const isPlain = !shape.qkNorm && shape.tiedEmbeddings && shape.attentionBias === undefined;
  if (!isPlain || shape.ropeScaling !== undefined || shape.headCount * shape.headDim !== shape.hiddenSize) {
    throw new EspalierError('config', 'only plain Llama shapes with tied embeddings can be written as GGUF');
  }
  const specs = tensorSpecs(shape);
  const { count, bytes } = metadata(shape);
  const header = new Bytes();
  header.parts.push(Buffer.from('GGUF'));
  header.uint32(3).uint64(specs.length).uint64(count).parts.push(bytes);
  let offset = 0;
  const data: Buffer[] = [];
  for (const [at, { name, dims }] of specs.entries()) {
    const given = weights.data[weights.names.indexOf(name)] ?? (weights.data[at] as Float32Array);
    const isRotated = /[qk]_proj\.weight$/.test(name);
    const values = isRotated ? interleaved(given, shape.hiddenSize, shape.headDim) : given;
    header.string(ggufName(name)).uint32(dims.length);
    for (const size of dims.toReversed()) header.uint64(size);
    header.uint32(float32Tensor).uint64(offset);
    const padded = Math.ceil(values.byteLength / alignment) * alignment;
    data.push(
      Buffer.from(values.buffer, values.byteOffset, values.byteLength),
      Buffer.alloc(padded - values.byteLength),
    );
    offset += padded;
  }
  const lead = Buffer.concat(header.parts);
  await using file = await open(path, 'w');
  await file.writeFile(lead);
  await file.writeFile(Buffer.alloc(Math.ceil(lead.length / alignment) * alignment - lead.length));
  for (const part of data) await file.writeFile(part);
}
