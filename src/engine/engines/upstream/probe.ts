/**
 * What a server is and can do, asked before anything depends on it.
 *
 * Invariant: what is needed and not there is an EspalierError('config') that says how to start the server.
 */
import { z } from 'zod';
import { EspalierError, messageOf } from '../../../core/errors.ts';
import { noTruncation, truncates } from '../../../core/truncation.ts';
import type { Drawing } from '../../upstream.ts';
import type { ServerWeights, UpstreamKind, UpstreamProtocol } from './protocol.ts';
import { ServerRefusal, type UpstreamServer } from './server.ts';

export interface ProbedServer {
  /** The name that it serves its base model under. */
  readonly model: string;
  readonly contextLength: number;
  readonly weights: ServerWeights;
  /** Why log-probabilities at temperature 1, untruncated, cannot be had of what is drawn so; null: they can. */
  problemOf(drawing: Drawing): string | null;
}

export interface Needs {
  /** Every way in which tokens will be drawn. */
  readonly drawings?: readonly Drawing[];
  readonly newWeights?: boolean;
  /** Text and the ids that it must have: a server of another model is refused. */
  readonly encoded?: { readonly text: string; readonly ids: readonly number[] };
}

const models = z.object({
  data: z
    .array(z.object({ id: z.string(), owned_by: z.string().nullish(), max_model_len: z.number().int().positive() }))
    .min(1),
});
const tokenized = z.object({ tokens: z.array(z.number()) });

/** Nats by which the greatest log-probability of one place may differ between two requests. */
const noise = 0.01;

/** Which protocol a server speaks, by what it says of itself. Throws EspalierError('config'). */
export async function kindOf(server: UpstreamServer): Promise<UpstreamKind> {
  const owner = (await readModels(server)).owned_by;
  if (owner === 'vllm' || owner === 'sglang') return owner;
  throw new EspalierError('config', `${server.url} says it is "${owner}": name its kind, vllm or sglang`);
}

/** Throws EspalierError('config'). */
export async function probe(server: UpstreamServer, protocol: UpstreamProtocol, needs: Needs): Promise<ProbedServer> {
  const { id: model, max_model_len } = await readModels(server);
  const contextLength = max_model_len - protocol.reservedTokens;
  const { wayOut } = protocol;
  const unfit = (what: string, way: string) => new EspalierError('config', `${server.url} ${what}: ${way}`);
  try {
    const weights = await protocol.weights(server);
    if (needs.newWeights === true && !weights.replaceable) throw unfit('takes no new weights', wayOut.replaceable);
    const plain = await plainLogprobs(server, protocol, model);
    const problemOf = ({ temperature, truncation = noTruncation }: Drawing): string | null => {
      if (temperature === 0) return null;
      const of =
        temperature !== 1 && !plain.whenHotter
          ? `temperature ${temperature} and not of 1`
          : truncates(truncation) && !plain.whenTruncated
            ? 'the tokens that top-k, top-p and min-p leave and not of all'
            : null;
      return of === null ? null : `${server.url} reports log-probabilities of ${of}: ${wayOut.plainLogprobs}`;
    };
    for (const problem of (needs.drawings ?? []).map(problemOf)) {
      if (problem !== null) throw new EspalierError('config', problem);
    }
    if (needs.encoded !== undefined) await checkTokenizer(server, model, needs.encoded);
    return { model, contextLength, weights, problemOf };
  } catch (cause) {
    if (cause instanceof EspalierError) throw cause;
    throw unfit('cannot be used as an engine', messageOf(cause));
  }
}

/** Sampling hotter, or from fewer tokens, must not change what is reported for the likeliest token. */
async function plainLogprobs(server: UpstreamServer, protocol: UpstreamProtocol, model: string) {
  const at1 = await protocol.greatestLogprob(server, model, { temperature: 1 });
  if (at1 > noise) {
    const problem = `${server.url} reports logits where log-probabilities should be: ${protocol.wayOut.plainLogprobs}`;
    throw new EspalierError('config', problem);
  }
  const movesAt = async (drawing: Drawing): Promise<boolean> =>
    Math.abs(at1 - (await protocol.greatestLogprob(server, model, drawing))) >= noise;
  return {
    whenHotter: !(await movesAt({ temperature: 2 })),
    whenTruncated: !(await movesAt({ temperature: 1, truncation: { topK: 1, topP: 0.5, minP: 0.5 } })),
  };
}

async function checkTokenizer(server: UpstreamServer, model: string, { text, ids }: NonNullable<Needs['encoded']>) {
  const answer = await server.call('POST', '/tokenize', { model, prompt: text, add_special_tokens: false }, 60_000);
  const { tokens } = tokenized.parse(answer);
  if (tokens.join() === ids.join()) return;
  throw new EspalierError(
    'config',
    `${server.url} serves "${model}", which has another tokenizer than the model folder`,
  );
}

async function readModels(server: UpstreamServer) {
  try {
    const [first] = models.parse(await server.call('GET', '/v1/models', undefined, 60_000)).data;
    return first as NonNullable<typeof first>;
  } catch (cause) {
    const refused = cause instanceof ServerRefusal && (cause.status === 401 || cause.status === 403);
    const why = refused
      ? 'it wants a key: set ESPALIER_ENGINE_KEY'
      : cause instanceof z.ZodError
        ? 'no list of models'
        : messageOf(cause);
    throw new EspalierError('config', `${server.url} cannot be used as an engine: ${why}`, { cause });
  }
}
