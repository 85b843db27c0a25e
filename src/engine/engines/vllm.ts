/**
 * The protocol of vLLM's server, as of 0.32: `/v1/completions` with ids on both sides, and the endpoints of its
 * development mode for new weights. Sampling alone needs no option; `return_token_ids` came with 0.10.2.
 *
 * Not used: `/inference/v1/generate`, which needs `--enable-scale-out`; a pause that keeps requests (`mode=keep`), since
 * they would go on with keys and values of the old weights.
 */
import { z } from 'zod';
import { seedOf } from '../../core/random.ts';
import type { GenerateRequest } from '../engine.ts';
import { filtersOf, type Piece, probeMs, type UpstreamProtocol } from './upstream/protocol.ts';
import { ServerFault, ServerRefusal, type UpstreamServer } from './upstream/server.ts';

const ids = z.array(z.number().int().nonnegative());
const choice = z.object({
  token_ids: ids.nullish(),
  logprobs: z
    .object({ token_logprobs: z.array(z.number()), top_logprobs: z.array(z.record(z.string(), z.number()).nullable()) })
    .nullish(),
  finish_reason: z.string().nullish(),
});
const answer = z.object({ choices: z.array(choice).max(1) });
const weightInfo = z.object({ weight_version: z.string() });
const done = z.object({ success: z.literal(true) });

const ends: Readonly<Record<string, Piece['end']>> = { stop: 'stop', length: 'length', abort: 'aborted' };

export const vllm: UpstreamProtocol = {
  kind: 'vllm',
  reservedTokens: 0,
  generatePath: '/v1/completions',

  generateBody: (request, model) => ({ ...completionBody(request, model), stream: true }),

  reader: () => (event) => {
    const [read] = parsed(answer, event).choices;
    if (read === undefined) return { ids: [], logprobs: [], end: null, weights: null };
    const end = read.finish_reason == null ? null : ends[read.finish_reason];
    if (end === undefined) throw new ServerFault(`it ended a completion with "${read.finish_reason}"`);
    if (read.token_ids == null || (read.token_ids.length > 0 && read.logprobs == null)) {
      throw new ServerFault('it sent text without token ids or log-probabilities');
    }
    return { ids: read.token_ids, logprobs: read.logprobs?.token_logprobs ?? [], end, weights: null };
  },

  async greatestLogprob(server, model, drawing) {
    const sampling = { ...drawing, maxTokens: 1, stopIds: [] };
    const body = { ...completionBody({ ids: Int32Array.of(0), sampling, seed: 0n }, model), logprobs: 1 };
    const [read] = parsed(answer, await server.call('POST', '/v1/completions', body, probeMs)).choices;
    const greatest = Math.max(...Object.values(read?.logprobs?.top_logprobs[0] ?? {}));
    if (read?.token_ids?.length !== 1 || !Number.isFinite(greatest)) {
      throw new ServerFault('it answers without token ids or log-probabilities, which vLLM gives from 0.10.2 on');
    }
    return greatest;
  },

  async weights(server) {
    try {
      const { weight_version: label } = parsed(weightInfo, await server.call('GET', '/weight_info', undefined, 60_000));
      return { label, replaceable: true };
    } catch (thrown) {
      if (thrown instanceof ServerRefusal && thrown.status === 404) return { label: null, replaceable: false };
      throw thrown;
    }
  },

  pause: async (server) => void (await server.call('POST', '/pause?mode=abort')),
  resume: async (server) => void (await server.call('POST', '/resume')),

  async load(server, directory, label) {
    const kwargs = { weights_path: directory };
    await server.call('POST', '/collective_rpc', { method: 'reload_weights', kwargs });
    await dropPrefixes(server);
    parsed(done, await server.call('POST', '/update_weight_version', { new_version: label }));
  },

  wayOut: {
    replaceable: 'start it with VLLM_SERVER_DEV_MODE=1',
    plainLogprobs: 'start it with --logprobs-mode raw_logprobs',
  },
};

/** What the server's defaults, and the model's, would otherwise add is turned off: the ids are the policy's own. */
function completionBody({ ids, sampling, seed }: GenerateRequest, model: string): Readonly<Record<string, unknown>> {
  return {
    model,
    prompt: [...ids],
    max_tokens: sampling.maxTokens,
    temperature: sampling.temperature,
    ...filtersOf(sampling),
    presence_penalty: 0,
    frequency_penalty: 0,
    repetition_penalty: 1,
    // vLLM's generator starts anew with each request: a continuation must not draw its beginning's numbers again.
    seed: Number(BigInt.asUintN(53, seedOf(seed.toString(), ids.length))),
    ignore_eos: true,
    stop_token_ids: sampling.stopIds,
    logprobs: 0,
    return_token_ids: true,
  };
}

/** Blocks are held for a moment after their requests were aborted. */
async function dropPrefixes(server: UpstreamServer): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    const dropped = done.safeParse(await server.call('POST', '/reset_prefix_cache'));
    if (dropped.success) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new ServerFault('it does not drop its prefix cache');
}

function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new ServerFault(`it answered with something else than vLLM (${issue?.path.join('.')}: ${issue?.message})`);
}
