/** A proxy with a small trained tokenizer and a scripted policy, for tests that speak to it as an agent would. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { policyVersion } from '../../src/core/ids.ts';
import type { GenerateEvent, GenerateRequest, Sampler } from '../../src/engine/engine.ts';
import { createProxy, type ProxyOptions, type ProxyServer } from '../../src/proxy/proxy.ts';
import { trainBpe } from '../../src/tokens/bpe-trainer.ts';
import { compactTemplate } from '../../src/tokens/compact-template.ts';
import { Renderer } from '../../src/tokens/renderer.ts';
import { Tokenizer } from '../../src/tokens/tokenizer.ts';
import { Journal } from '../../src/trajectory/journal.ts';

const addedTokens = [
  { content: '<|im_start|>', special: true },
  { content: '<|im_end|>', special: true },
  { content: '<tool_call>{"name": "read", "arguments": {"path": "', special: false },
  { content: '"}}</tool_call>', special: false },
];
const corpus = ['return readFile(path) + 1;\nconst total = a + b;\n'.repeat(3)];
const trained = trainBpe(corpus, { vocabSize: 420, addedTokens, eosToken: '<|im_end|>' });
export const tokenizer = new Tokenizer(trained.tokenizerJson, trained.tokenizerConfig);
export const stopId = tokenizer.idOf('<|im_end|>') as number;
export const renderer = (): Renderer => new Renderer(tokenizer, compactTemplate, [stopId]);

/**
 * Says what `script` gives for the number of replies in the prompt. Text is split into single letters, so that sampled
 * ids are never the ones that a tokenizer would choose. Log-probabilities come from the seed: equal seeds, equal bits.
 */
export class LetterSampler implements Sampler {
  readonly contextLength: number;
  readonly vocabSize = tokenizer.vocabSize;
  readonly script: (turn: number) => string;
  readonly requests: GenerateRequest[] = [];
  /** Awaited before each token. */
  pace: (position: number, request: GenerateRequest) => Promise<void> = async () => {};
  /** The next request fails with this message after its first token. */
  failure: string | null = null;
  /** Requests pause after so many tokens. */
  pauseAfter = Number.POSITIVE_INFINITY;

  constructor(script: (turn: number) => string, contextLength = 4096) {
    this.script = script;
    this.contextLength = contextLength;
  }

  async *generate(request: GenerateRequest): AsyncGenerator<GenerateEvent> {
    this.requests.push(request);
    const { ids, sampling, seed } = request;
    const opening = tokenizer.decode(ids).split('<|im_start|>assistant\n');
    const turn = opening.length - 2;
    const said = tokenizer.encode(opening.at(-1) as string).length === 0 ? 0 : [...(opening.at(-1) as string)].length;
    const letters = [...this.script(turn)].slice(said).map((letter) => [...tokenizer.encode(letter)]);
    const all = [...letters, [stopId]];
    let given = 0;
    for (const [position, letter] of all.entries()) {
      await this.pace(position, request);
      if (request.signal?.aborted) break;
      if (given + letter.length > sampling.maxTokens) {
        yield { type: 'end', reason: 'length' };
        return;
      }
      if (position >= this.pauseAfter) {
        this.pauseAfter = Number.POSITIVE_INFINITY;
        yield { type: 'end', reason: 'paused' };
        return;
      }
      const at = Number(seed % 997n) + ids.length + given;
      yield {
        type: 'tokens',
        ids: Int32Array.from(letter),
        logprobs: Float32Array.from(letter, (_, i) => -1 / (at + i + 1)),
        entropies: Float32Array.from(letter, () => 0.5),
        version: policyVersion(this.requests.length - 1),
      };
      given += letter.length;
      if (this.failure !== null) {
        const message = this.failure;
        this.failure = null;
        yield { type: 'end', reason: 'failed', message };
        return;
      }
    }
    yield request.signal?.aborted
      ? { type: 'end', reason: 'failed', message: 'aborted' }
      : { type: 'end', reason: 'stop' };
  }
}

export const sessionOptions = { temperature: 1, maxTokensPerTurn: 400, seed: 7n, trainable: true };

export interface Rig {
  readonly directory: string;
  readonly journal: Journal;
  readonly proxy: ProxyServer;
  /** Closes proxy and journal, keeps the directory. */
  stop(): Promise<void>;
}

export async function startRig(
  sampler: Sampler,
  directory?: string,
  options: Partial<ProxyOptions> = {},
): Promise<Rig> {
  const where = directory ?? (await mkdtemp(join(tmpdir(), 'espalier-proxy-')));
  const journal = await Journal.open(where);
  const proxy = await createProxy({ sampler, renderer: renderer(), journal, modelName: 'seedling', ...options });
  return {
    directory: where,
    journal,
    proxy,
    stop: async () => {
      await proxy.close();
      await journal.close();
    },
  };
}

export const removeDirectory = (directory: string): Promise<void> => rm(directory, { recursive: true, force: true });

export const clientOf = (session: { baseUrl: string; apiKey: string }, maxRetries = 0): OpenAI =>
  new OpenAI({ baseURL: session.baseUrl, apiKey: session.apiKey, maxRetries });
