/**
 * The protocol of SGLang's server, as of 0.5.23: `/generate` with ids on both sides, and its endpoints for new weights,
 * which are always there.
 *
 * Not covered: stopping at none but the asked ids. SGLang ends at the model's end-of-sequence ids too as soon as any stop
 * id is asked for, and such an end is reported as `stop`.
 */
import { z } from 'zod';
import type { GenerateRequest } from '../engine.ts';
import { filtersOf, type Piece, probeMs, type UpstreamProtocol } from './upstream/protocol.ts';
import { ServerFault, ServerRefusal } from './upstream/server.ts';

/** Log-probability, id, text. */
const entry = z.tuple([z.number(), z.number().int().nonnegative(), z.unknown()]);
const finish = z.object({ type: z.string(), message: z.string().nullish(), status_code: z.number().nullish() });
const answer = z.object({
  meta_info: z.object({
    finish_reason: finish.nullish(),
    weight_version: z.string().nullish(),
    /** All of the completion so far, or with `--incremental-streaming-output` what is new. */
    output_token_logprobs: z.array(entry).nullish(),
    /** Of the completion so far, in both modes. */
    output_token_logprobs_length: z.number().int().nullish(),
    output_top_logprobs: z.array(z.array(entry).nullable()).nullish(),
  }),
});
const modelInfo = z.object({ weight_version: z.string() });

const ends: Readonly<Record<string, Piece['end']>> = { stop: 'stop', length: 'length', abort: 'aborted' };

export const sglang: UpstreamProtocol = {
  kind: 'sglang',
  // Its scheduler takes prompts of up to the context less 6, and ends what reaches the context less 2.
  reservedTokens: 6,
  generatePath: '/generate',

  generateBody: (request) => ({ ...generateBody(request), stream: true }),

  reader() {
    let seen = 0;
    return (event) => {
      const { finish_reason, weight_version, ...meta } = parsed(answer, event).meta_info;
      const entries = meta.output_token_logprobs ?? [];
      const total = meta.output_token_logprobs_length ?? entries.length;
      if (total - seen > entries.length) throw new ServerFault('it left tokens or log-probabilities out');
      const fresh = total > seen ? entries.slice(entries.length - (total - seen)) : [];
      seen += fresh.length;
      const end = finish_reason == null ? null : ends[finish_reason.type];
      if (end === undefined) throw new ServerFault(`it ended a completion with "${finish_reason?.type}"`);
      const status = finish_reason?.status_code ?? null;
      if (end === 'aborted' && status !== null) {
        const message = `${status}: ${finish_reason?.message}`;
        throw status < 500 ? new ServerRefusal(status, message) : new ServerFault(message);
      }
      const [logprobs, ids] = [fresh.map(([logprob]) => logprob), fresh.map(([, id]) => id)];
      return { ids, logprobs, end, weights: weight_version ?? null };
    };
  },

  async greatestLogprob(server, _model, drawing) {
    const sampling = { ...drawing, maxTokens: 1, stopIds: [] };
    const body = { ...generateBody({ ids: Int32Array.of(0), sampling, seed: 0n }), top_logprobs_num: 1 };
    const { meta_info } = parsed(answer, await server.call('POST', '/generate', body, probeMs));
    const greatest = meta_info.output_top_logprobs?.[0]?.[0]?.[0];
    if (meta_info.output_token_logprobs?.length !== 1 || greatest === undefined) {
      throw new ServerFault('it answers without token ids or log-probabilities');
    }
    return greatest;
  },

  async weights(server) {
    const { weight_version: label } = parsed(modelInfo, await server.call('GET', '/model_info', undefined, 60_000));
    return { label, replaceable: true };
  },

  pause: async (server) => void (await server.call('POST', '/pause_generation', { mode: 'abort' })),
  resume: async (server) => void (await server.call('POST', '/continue_generation', {})),

  async load(server, directory, label) {
    const wish = { model_path: directory, weight_version: label, flush_cache: true };
    await server.call('POST', '/update_weights_from_disk', wish);
  },

  wayOut: {
    replaceable: 'its key must be the admin key',
    plainLogprobs: 'start it with SGLANG_RETURN_ORIGINAL_LOGPROB=1',
  },
};

/** Everything is said, so that the server's preferred parameters and the model's add nothing. */
function generateBody({ ids, sampling, seed }: GenerateRequest): Readonly<Record<string, unknown>> {
  return {
    input_ids: [...ids],
    sampling_params: {
      max_new_tokens: sampling.maxTokens,
      temperature: sampling.temperature,
      ...filtersOf(sampling),
      presence_penalty: 0,
      frequency_penalty: 0,
      repetition_penalty: 1,
      // Taken with the position by deterministic inference, and else not at all.
      sampling_seed: Number(BigInt.asUintN(53, seed)),
      // It would switch the asked stop ids off too.
      ignore_eos: sampling.stopIds.length === 0,
      stop_token_ids: sampling.stopIds,
    },
    return_logprob: true,
  };
}

function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new ServerFault(`it answered with something else than SGLang (${issue?.path.join('.')}: ${issue?.message})`);
}
