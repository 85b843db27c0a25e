/**
 * vLLM's server in front of our own engine: the requests, answers, streams and endpoints that an upstream engine uses,
 * as vLLM 0.32.0 has them (vllm/entrypoints: openai/completion, serve/instrumentator, serve/dev, rl/online).
 *
 * Faithful, as far as a client sees: chunks and their fields; an abort before the first token is a stream without a last
 * choice; requests that come during a pause wait on the server; a folder that is not there kills it; a restarted server
 * has its first weights again. Not covered: text (each id is its own number), several choices, penalties.
 */
import { existsSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { policyVersion } from '../../src/core/ids.ts';
import type { Truncation } from '../../src/core/truncation.ts';
import type { GenerateRequest } from '../../src/engine/engine.ts';
import { Answer, type Call, FakeServer } from './fake-server.ts';

export interface FakeVllmOptions {
  readonly model: string;
  /** VLLM_SERVER_DEV_MODE. */
  readonly devMode?: boolean;
  /** `--logprobs-mode`: the default, or of the temperature that is sampled at. */
  readonly logprobsMode?: 'raw_logprobs' | 'processed_logprobs';
  /** The model's tokenizer; one of letters when not given. */
  readonly encode?: (text: string) => readonly number[];
  /** `--api-key`, which guards `/v1` only. */
  readonly key?: string;
}

const servedModel = 'fake/model';

export class FakeVllm extends FakeServer {
  readonly #options: FakeVllmOptions;
  #label = 'default';
  #created = 0;

  constructor(options: FakeVllmOptions) {
    super(options.model, (call, response) => this.#route(call, response));
    this.#options = options;
  }

  /** Starts it, with its first weights. */
  override async listen(): Promise<void> {
    this.#label = 'default';
    await super.listen();
  }

  async #route(call: Call, response: ServerResponse): Promise<unknown> {
    const { key, devMode = true } = this.#options;
    if (key !== undefined && call.path.startsWith('/v1') && call.key !== key) {
      throw new Answer(401, { error: 'Unauthorized' });
    }
    switch (`${call.method} ${call.path}`) {
      case 'GET /health':
        return null;
      case 'GET /v1/models':
        return { object: 'list', data: [this.#modelCard()] };
      case 'POST /tokenize':
        return tokenized(String(call.body['prompt']), this.engine.contextLength, this.#options.encode);
      case 'POST /v1/completions':
        return this.#complete(call.body, response);
      default:
        if (devMode) return this.#develop(call);
        throw new Answer(404, { detail: 'Not Found' });
    }
  }

  async #develop({ method, path, query, body }: Call): Promise<unknown> {
    switch (`${method} ${path}`) {
      case 'POST /pause':
        if (query.get('mode') !== 'abort') throw new Answer(400, { error: 'only abort is faked' });
        await this.engine.pause();
        return { status: 'paused' };
      case 'POST /resume':
        await this.engine.resume();
        return { status: 'resumed' };
      case 'GET /weight_info':
        return { weight_version: this.#label };
      case 'POST /update_weight_version':
        this.#label = String(body['new_version']);
        return { success: true, new_version: this.#label };
      case 'POST /reset_prefix_cache':
        return { success: this.running === 0 };
      case 'POST /collective_rpc':
        return this.#reload(body);
      default:
        throw new Answer(404, { detail: 'Not Found' });
    }
  }

  async #reload({ method, kwargs }: Call['body']): Promise<unknown> {
    const path = String((kwargs as { weights_path?: unknown } | undefined)?.weights_path);
    if (method !== 'reload_weights' || !existsSync(path)) {
      await this.crash();
      return null;
    }
    await this.engine.load(path, policyVersion(0), 'fresh');
    return { results: [null] };
  }

  async #complete(body: Call['body'], response: ServerResponse): Promise<unknown> {
    const request = this.#requestOf(body);
    if (body['stream'] === true) return this.stream(response, this.#chunks(body, request, response));
    const choices: unknown[] = [];
    for await (const event of this.engine.generate(request)) {
      if (event.type !== 'tokens') continue;
      const greedy = { ...request, sampling: { ...request.sampling, temperature: 0 } };
      const { greatest } = await this.#greatest(greedy);
      const logprobs = this.#logprobs(body, event.ids, event.logprobs, greatest);
      choices.push({ index: 0, text: text(event.ids), logprobs, finish_reason: 'length', token_ids: [...event.ids] });
    }
    return { ...this.#head(), choices, usage: {} };
  }

  async #greatest(greedy: GenerateRequest): Promise<{ greatest: readonly [number, number] }> {
    for await (const event of this.engine.generate(greedy)) {
      if (event.type === 'tokens') return { greatest: [event.ids[0] as number, event.logprobs[0] as number] };
    }
    throw new Error('the engine samples nothing');
  }

  async *#chunks(body: Call['body'], request: GenerateRequest, response: ServerResponse): AsyncGenerator<unknown> {
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    const head = this.#head();
    let count = 0;
    for await (const event of this.engine.generate({ ...request, signal: gone.signal })) {
      if (event.type === 'tokens') {
        const { ids, logprobs } = event;
        const prompt_token_ids = count === 0 ? [...request.ids] : null;
        count += ids.length;
        yield this.#chunk(head, ids, this.#logprobs(body, ids, logprobs), prompt_token_ids);
      } else if (event.reason === 'failed') {
        yield { error: { message: event.message, type: 'InternalServerError', param: null, code: 500 } };
      } else if (event.reason !== 'paused') yield this.#chunk(head, noIds, null, null, event.reason);
      else if (count > 0) yield this.#chunk(head, noIds, null, null, 'abort');
    }
  }

  #chunk(
    head: object,
    ids: Int32Array,
    logprobs: unknown,
    prompt_token_ids: readonly number[] | null,
    finish_reason: string | null = null,
  ): unknown {
    const choice = { index: 0, text: text(ids), logprobs, finish_reason, stop_reason: null };
    return { ...head, choices: [{ ...choice, prompt_token_ids, token_ids: [...ids] }] };
  }

  #logprobs(body: Call['body'], ids: Int32Array, logprobs: Float32Array, greatest?: readonly [number, number]) {
    const temperature = Number(body['temperature']);
    const isProcessed = this.#options.logprobsMode === 'processed_logprobs' && temperature > 0;
    // Of filters, as far as one token is left.
    const reported = (logprob: number): number =>
      !isProcessed ? logprob : body['top_k'] === 1 ? 0 : logprob / temperature;
    const token_logprobs = [...logprobs].map(reported);
    const top_logprobs = token_logprobs.map((logprob, i) => ({
      [String(ids[i])]: logprob,
      ...(greatest !== undefined && { [String(greatest[0])]: reported(greatest[1]) }),
    }));
    return { text_offset: [...ids].map((_, i) => i), token_logprobs, tokens: [...ids].map(String), top_logprobs };
  }

  #requestOf(body: Call['body']): GenerateRequest {
    const { model, prompt, max_tokens, temperature, stop_token_ids, seed } = body as {
      readonly [name: string]: unknown;
      readonly prompt: readonly number[];
      readonly stop_token_ids?: readonly number[];
    };
    const { contextLength, vocabSize } = this.engine;
    if (model !== servedModel) throw refusal(404, `The model \`${String(model)}\` does not exist.`, 'NotFoundError');
    if (prompt.some((id) => id >= vocabSize))
      throw refusal(400, `Token id ${Math.max(...prompt)} is out of vocabulary`);
    if (prompt.length + Number(max_tokens) > contextLength) {
      const asked = `${prompt.length} input tokens and ${Number(max_tokens)} output tokens`;
      throw refusal(400, `This model's maximum context length is ${contextLength} tokens. You requested ${asked}.`);
    }
    const neutral = { presence_penalty: 0, frequency_penalty: 0, repetition_penalty: 1 };
    for (const [name, value] of Object.entries({ ...neutral, ignore_eos: true, return_token_ids: true })) {
      if (body[name] !== value) throw refusal(400, `${name} is ${String(body[name])}: the server's default would act`);
    }
    const truncation = truncationIn(body);
    if (truncation === null)
      throw refusal(400, "top_k, top_p and min_p are not all given: the server's default would act");
    return {
      ids: Int32Array.from(prompt),
      sampling: {
        ...{ temperature: Number(temperature), truncation },
        ...{ maxTokens: Number(max_tokens), stopIds: stop_token_ids ?? [] },
      },
      seed: BigInt(seed as number),
    };
  }

  #head() {
    this.#created += 1;
    return { id: `cmpl-${this.#created}`, object: 'text_completion', created: this.#created, model: servedModel };
  }

  #modelCard() {
    const { model } = this.#options;
    return {
      id: servedModel,
      object: 'model',
      owned_by: 'vllm',
      root: model,
      max_model_len: this.engine.contextLength,
    };
  }
}

const noIds = new Int32Array(0);
const text = (ids: Int32Array): string => [...ids].map((id) => `<${id}>`).join('');
const refusal = (code: number, message: string, type = 'BadRequestError'): Answer =>
  new Answer(code, { error: { message, type, param: null, code } });

/** Null where one of them is left to the server. */
export function truncationIn(body: Readonly<Record<string, unknown>>): Truncation | null {
  const { top_k: topK, top_p: topP, min_p: minP } = body;
  if (typeof topK !== 'number' || typeof topP !== 'number' || typeof minP !== 'number') return null;
  return { topK: Math.max(topK, 0), topP, minP };
}

/** A tokenizer of letters. */
export const letterIds = (prompt: string): number[] =>
  [...prompt].map((letter) => (letter.codePointAt(0) as number) % 50);
export const tokenized = (
  prompt: string,
  max_model_len: number,
  encode: (text: string) => readonly number[] = letterIds,
) => {
  const tokens = encode(prompt);
  return { count: tokens.length, max_model_len, tokens, token_strs: null };
};
