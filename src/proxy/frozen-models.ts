/**
 * Models elsewhere that answer some of the names that agents ask for: their bytes pass as through a relay (relay/), and
 * what passes is recorded in a rollout beside the session's own, from which nothing is learned.
 *
 * Invariants:
 * 1. No key of ours is passed on: only the upstream's own, or none.
 * 2. But for the model's name, where the map gives another one, the request passes as it came.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { EspalierError } from '../core/errors.ts';
import { besideId, type RolloutId } from '../core/ids.ts';
import type { JsonObject } from '../dialects/json-reader.ts';
import type { Journal } from '../trajectory/journal.ts';
import type { ModelTarget } from './model-map.ts';
import { CopyBudget } from './relay/copy.ts';
import { agentFor, forward } from './relay/forward.ts';
import { authHeaders, keyHeader, passed } from './relay/headers.ts';
import { formatOf } from './relay/read-exchange.ts';
import { RelaySession } from './relay/relay-session.ts';

export interface FrozenCall {
  readonly rollout: RolloutId;
  readonly target: ModelTarget & { readonly to: 'upstream' };
  /** `/v1/messages?beta=true` */
  readonly path: string;
  readonly body: { readonly bytes: Buffer; readonly json: JsonObject };
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

const connectTimeoutMs = 10_000;
const copyLimitBytes = 64 << 20;

export class FrozenModels {
  readonly #journal: Journal;
  readonly #key: string | null;
  readonly #onDrop: (failure: EspalierError) => void;
  readonly #budget = new CopyBudget(512 << 20);
  readonly #agents = new Map<string, ReturnType<typeof agentFor>>();
  readonly #sessions = new Map<RolloutId, RelaySession>();

  /** `key` goes to every upstream, in place of the agent's. */
  constructor(journal: Journal, key: string | null, onDrop: (failure: EspalierError) => void) {
    this.#journal = journal;
    this.#key = key;
    this.#onDrop = onDrop;
  }

  /** Resolves when the reply has passed. Throws Refusal: 502 when there was none. */
  async answer({ rollout, target, path, body, request, response }: FrozenCall): Promise<void> {
    const bytes =
      target.model === null ? body.bytes : Buffer.from(JSON.stringify({ ...body.json, model: target.model }));
    const format = formatOf(request.method, path);
    const exchange = await forward({
      upstream: target.upstream,
      agent: this.#agent(target),
      method: request.method ?? 'POST',
      path,
      headers: [
        ...passed(request.rawHeaders, new Set(['host', 'content-length', ...authHeaders])),
        ...['Content-Length', String(bytes.length)],
        ...(this.#key === null ? [] : keyHeader(path, this.#key)),
      ],
      body: Readable.from([bytes]),
      response,
      budget: this.#budget,
      copyLimitBytes: format === null ? 0 : copyLimitBytes,
      connectTimeoutMs,
    });
    const bare = path.split('?')[0] as string;
    if (format !== null) this.#session(rollout).take({ format, path: bare, exchange, requestEncoding: undefined });
  }

  /** Resolves when what a session's calls were is recorded. */
  async end(rollout: RolloutId): Promise<void> {
    const session = this.#sessions.get(rollout);
    this.#sessions.delete(rollout);
    await session?.close();
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
  }

  #agent({ upstream }: FrozenCall['target']): ReturnType<typeof agentFor> {
    const agent = this.#agents.get(upstream.origin) ?? agentFor(upstream);
    this.#agents.set(upstream.origin, agent);
    return agent;
  }

  #session(rollout: RolloutId): RelaySession {
    const known = this.#sessions.get(rollout);
    if (known !== undefined) return known;
    const beside = besideId(rollout, 'frozen');
    const session = new RelaySession(beside, this.#journal, this.#onDrop);
    this.#sessions.set(rollout, session);
    this.#journal
      .append({
        type: 'session',
        rollout: beside,
        temperature: null,
        maxTokensPerTurn: null,
        seed: null,
        trainable: false,
      })
      .catch(() => undefined);
    return session;
  }
}
