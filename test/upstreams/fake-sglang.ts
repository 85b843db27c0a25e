/**
 * SGLang's server in front of our own engine, as 0.5.23 has it (sglang/srt: entrypoints/http_server.py,
 * managers/tokenizer_manager.py, sampling/sampling_params.py).
 *
 * Faithful, as far as a client sees: chunks that repeat the completion so far, or with `--incremental-streaming-output`
 * only what is new; unknown sampling parameters are refused; the last tokens of the context stay empty; log-probabilities
 * of the sampling temperature unless SGLANG_RETURN_ORIGINAL_LOGPROB; a request that waits when all are aborted gets an
 * end of its own. Not covered: text, several prompts, sessions, end-of-sequence ids.
 */
import { existsSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { policyVersion } from '../../src/core/ids.ts';
import type { GenerateRequest } from '../../src/engine/engine.ts';
import { Answer, type Call, FakeServer } from './fake-server.ts';
import { tokenized, truncationIn } from './fake-vllm.ts';

export interface FakeSglangOptions {
  readonly model: string;
  readonly incremental?: boolean;
  readonly originalLogprobs?: boolean;
}

type Parameters = Readonly<Record<string, unknown>>;
type Entry = readonly [number, number, null];

const knownParameters = new Set(
  (
    'max_new_tokens stop stop_token_ids stop_regex temperature top_p top_k min_p frequency_penalty presence_penalty ' +
    'repetition_penalty min_new_tokens n json_schema regex ebnf structural_tag ignore_eos skip_special_tokens ' +
    'spaces_between_special_tokens no_stop_trim stream_interval logit_bias sampling_seed custom_params beam_width'
  ).split(' '),
);

export class FakeSglang extends FakeServer {
  readonly #options: FakeSglangOptions;
  #label = 'default';
  #paused = false;
  #created = 0;

  constructor(options: FakeSglangOptions) {
    super(options.model, (call, response) => this.#route(call, response));
    this.#options = options;
  }

  override async listen(): Promise<void> {
    this.#label = 'default';
    this.#paused = false;
    await super.listen();
  }

  async #route({ method, path, body }: Call, response: ServerResponse): Promise<unknown> {
    switch (`${method} ${path}`) {
      case 'GET /health':
        return null;
      case 'GET /v1/models':
        return { object: 'list', data: [this.#modelCard()] };
      case 'GET /model_info':
        return { model_path: this.#options.model, is_generation: true, weight_version: this.#label };
      case 'POST /tokenize':
        return tokenized(String(body['prompt']), this.engine.contextLength);
      case 'POST /generate':
        return this.#generate(body, response);
      case 'POST /pause_generation':
        this.#paused = true;
        await this.engine.pause();
        return { message: 'Generation paused successfully.', status: 'ok' };
      case 'POST /continue_generation':
        this.#paused = false;
        await this.engine.resume();
        return { message: 'Generation continued successfully.', status: 'ok' };
      case 'POST /update_weights_from_disk':
        return this.#update(body);
      default:
        throw new Answer(404, { detail: 'Not Found' });
    }
  }

  async #update({ model_path, weight_version }: Call['body']): Promise<unknown> {
    const path = String(model_path);
    const outcome = { num_paused_requests: 0 };
    if (!existsSync(path)) throw new Answer(400, { success: false, message: `no weights at ${path}`, ...outcome });
    if (!this.#paused) throw new Answer(400, { success: false, message: 'requests are running', ...outcome });
    await this.engine.load(path, policyVersion(0), 'fresh');
    this.#label = String(weight_version);
    return { success: true, message: `Weight version updated to ${this.#label}.`, ...outcome };
  }

  async #generate(body: Call['body'], response: ServerResponse): Promise<unknown> {
    checkParameters(body['sampling_params'] as Parameters);
    if (body['stream'] === true) return this.stream(response, this.#chunks(body, response));
    const request = this.#requestOf(body);
    const entries: Entry[] = [];
    for await (const event of this.engine.generate(request)) {
      if (event.type === 'tokens') entries.push(...this.#entries(event.ids, event.logprobs, request));
    }
    const greedy = { ...request, sampling: { ...request.sampling, temperature: 0 } };
    const tops: Entry[][] = [];
    for await (const event of this.engine.generate(greedy)) {
      if (event.type === 'tokens') tops.push(this.#entries(event.ids, event.logprobs, request));
    }
    const meta = this.#meta(entries, entries.length, { type: 'length', length: entries.length });
    return { text: '', output_ids: entries.map(([, id]) => id), meta_info: { ...meta, output_top_logprobs: tops } };
  }

  async *#chunks(body: Call['body'], response: ServerResponse): AsyncGenerator<unknown> {
    try {
      yield* this.#samples(this.#requestOf(body), response);
    } catch (thrown) {
      // What is wrong with a request's values is noticed when its stream is open already.
      if (!(thrown instanceof Answer)) throw thrown;
      yield thrown.body;
    }
  }

  async *#samples(request: GenerateRequest, response: ServerResponse): AsyncGenerator<unknown> {
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    const all: Entry[] = [];
    const chunk = (fresh: readonly Entry[], finish: unknown): unknown => {
      const entries = this.#options.incremental === true ? fresh : all;
      return { text: '', output_ids: entries.map(([, id]) => id), meta_info: this.#meta(entries, all.length, finish) };
    };
    for await (const event of this.engine.generate({ ...request, signal: gone.signal })) {
      if (event.type === 'tokens') {
        const fresh = this.#entries(event.ids, event.logprobs, request);
        all.push(...fresh);
        yield chunk(fresh, null);
      } else if (event.reason === 'failed') {
        yield { error: { message: event.message, type: 'internal_error', code: 500, retryable: false } };
      } else yield chunk([], finishOf(event.reason, all));
    }
  }

  #entries(ids: Int32Array, logprobs: Float32Array, { sampling }: GenerateRequest): Entry[] {
    const plain = this.#options.originalLogprobs === true || sampling.temperature === 0;
    return [...ids].map((id, i) => [(logprobs[i] as number) / (plain ? 1 : sampling.temperature), id, null]);
  }

  #meta(entries: readonly Entry[], total: number, finish_reason: unknown) {
    this.#created += 1;
    return {
      id: `r${this.#created}`,
      finish_reason,
      weight_version: this.#label,
      completion_tokens: total,
      input_token_logprobs: [],
      output_token_logprobs: entries,
      output_token_logprobs_length: total,
    };
  }

  #requestOf(body: Call['body']): GenerateRequest {
    const parameters = body['sampling_params'] as Parameters;
    const ids = Int32Array.from(body['input_ids'] as readonly number[]);
    const maxTokens = Number(parameters['max_new_tokens']);
    const { contextLength, vocabSize } = this.engine;
    if (ids.some((id) => id >= vocabSize)) throw refusal('The input_ids contain values out of the vocabulary.');
    if (ids.length + maxTokens > contextLength) {
      throw refusal(`Requested token count exceeds the model's maximum context length of ${contextLength} tokens.`);
    }
    const truncation = truncationIn(parameters);
    if (truncation === null) throw refusal('top_k, top_p and min_p are not all given: the server would choose them.');
    const stopIds = parameters['ignore_eos'] === true ? [] : (parameters['stop_token_ids'] as readonly number[]);
    return {
      ids,
      sampling: {
        temperature: Number(parameters['temperature']),
        truncation,
        maxTokens: Math.min(maxTokens, contextLength - 2 - ids.length),
        stopIds,
      },
      seed: BigInt(parameters['sampling_seed'] as number),
    };
  }

  #modelCard() {
    const { model } = this.#options;
    return { id: model, object: 'model', owned_by: 'sglang', root: model, max_model_len: this.engine.contextLength };
  }
}

const refusal = (message: string): Answer =>
  new Answer(400, { error: { message, type: 'invalid_request_error', code: 400, retryable: false } });

function checkParameters(parameters: Parameters): void {
  const unknown = Object.keys(parameters).find((name) => !knownParameters.has(name));
  if (unknown !== undefined) throw new Answer(400, { error: `sampling_params: unknown field ${unknown}` });
}

function finishOf(reason: 'stop' | 'length' | 'paused', all: readonly Entry[]): unknown {
  if (reason === 'paused') return { type: 'abort', message: 'Aborted', status_code: null, err_type: null };
  return reason === 'stop' ? { type: 'stop', matched: all.at(-1)?.[1] } : { type: 'length', length: all.length };
}
