/**
 * llama.cpp through node-llama-cpp, which carries its prebuilt libraries. It is no dependency of ours: bench/llama.cpp
 * pins it, and it is loaded from there when a benchmark asks for it.
 */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { EspalierError } from '../core/errors.ts';

/** What we use of it. */
interface LlamaSequence {
  readonly nextTokenIndex: number;
  eraseContextTokenRanges(ranges: readonly { readonly start: number; readonly end: number }[]): Promise<void>;
  evaluateWithoutGeneratingNewTokens(tokens: readonly number[]): Promise<void>;
  evaluate(tokens: readonly number[], options: object): AsyncGenerator<number>;
  evaluateWithMetadata(
    tokens: readonly number[],
    metadata: { readonly confidence: true },
    options: object,
  ): AsyncGenerator<{ readonly token: number; readonly confidence: number }>;
}
interface LlamaContext {
  getSequence(): LlamaSequence;
  dispose(): Promise<void>;
}
interface LlamaModel {
  createContext(options: object): Promise<LlamaContext>;
  dispose(): Promise<void>;
}
interface Llama {
  readonly llamaCppRelease: { readonly release: string };
  loadModel(options: object): Promise<LlamaModel>;
  dispose(): Promise<void>;
}
interface NodeLlamaCpp {
  getLlama(options: object): Promise<Llama>;
}

export interface LlamaOptions {
  readonly model: string;
  readonly sequences: number;
  readonly threads: number;
  /** Tokens of a sequence. */
  readonly contextLength: number;
}

export class LlamaCpp implements AsyncDisposable {
  /** Of llama.cpp, e.g. `b5000`. */
  readonly release: string;
  readonly #llama: Llama;
  readonly #model: LlamaModel;
  readonly #context: LlamaContext;
  readonly #sequences: readonly LlamaSequence[];
  readonly #prompts: (readonly number[])[] = [];

  private constructor(llama: Llama, model: LlamaModel, context: LlamaContext, sequences: number) {
    this.release = llama.llamaCppRelease.release;
    this.#llama = llama;
    this.#model = model;
    this.#context = context;
    this.#sequences = Array.from({ length: sequences }, () => context.getSequence());
  }

  /** Throws `config` when node-llama-cpp is not installed in `folder`. */
  static async open(folder: string, options: LlamaOptions): Promise<LlamaCpp> {
    const { getLlama } = await load(folder);
    const { threads, sequences, contextLength } = options;
    const llama = await getLlama({ gpu: false, build: 'never', maxThreads: threads, logLevel: 'error' });
    const model = await llama.loadModel({ modelPath: options.model, gpuLayers: 0 });
    const cache = { experimentalKvCacheKeyType: 'F32', experimentalKvCacheValueType: 'F32' };
    const size = { contextSize: contextLength, batchSize: 512, sequences, threads };
    return new LlamaCpp(llama, model, await model.createContext({ ...size, ...cache }), sequences);
  }

  /** Evaluates all but the last token of each prompt, so that decoding begins at once. */
  async prepare(prompts: readonly (readonly number[])[]): Promise<void> {
    this.#prompts.splice(0, this.#prompts.length, ...prompts);
    await Promise.all(
      prompts.map((ids, i) =>
        (this.#sequences[i] as LlamaSequence).evaluateWithoutGeneratingNewTokens(ids.slice(0, -1)),
      ),
    );
  }

  /** The token that follows prompt `index`, drawn at temperature 1 from the whole vocabulary, and its probability. */
  async draw(index: number): Promise<{ readonly token: number; readonly probability: number }> {
    const sampling = { temperature: 1, topK: 0, topP: 1, minP: 0, seed: index, yieldEogToken: true };
    const { sequence, last } = await this.#rewound(index);
    for await (const { token, confidence } of sequence.evaluateWithMetadata([last], { confidence: true }, sampling)) {
      return { token, probability: confidence };
    }
    throw new EspalierError('engine', 'llama.cpp drew no token');
  }

  /** Takes the likeliest token `count` times after prompt `index`: no draw, no probability, which is its fastest way. */
  async *decode(index: number, count: number): AsyncGenerator<number> {
    const { sequence, last } = await this.#rewound(index);
    let left = count;
    for await (const token of sequence.evaluate([last], { temperature: 0, yieldEogToken: true })) {
      yield token;
      left -= 1;
      if (left === 0) return;
    }
  }

  async #rewound(index: number): Promise<{ readonly sequence: LlamaSequence; readonly last: number }> {
    const sequence = this.#sequences[index] as LlamaSequence;
    const ids = this.#prompts[index] as readonly number[];
    const end = ids.length - 1;
    const start = sequence.nextTokenIndex;
    if (start > end) await sequence.eraseContextTokenRanges([{ start: end, end: start }]);
    return { sequence, last: ids[end] as number };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.dispose();
    await this.#model.dispose();
    await this.#llama.dispose();
  }
}

async function load(folder: string): Promise<NodeLlamaCpp> {
  try {
    // Not by its name: modules are looked up from the file that imports, and this is none of our dependencies.
    const path = resolve(folder, 'node_modules', 'node-llama-cpp', 'dist', 'index.js');
    return (await import(pathToFileURL(path).href)) as NodeLlamaCpp;
  } catch (cause) {
    const wayOut = 'bench/llama.cpp/README.md says how to install it';
    throw new EspalierError('config', `node-llama-cpp does not load from ${folder}: ${wayOut}`, { cause });
  }
}
