/**
 * The open sessions of a proxy and their keys.
 *
 * Invariants:
 * 1. A key that is made here has 256 random bits. Only its SHA-256 is kept, in memory; it is never logged or stored,
 *    and compared in constant time.
 * 2. A session's name in the URL is no secret: it is derived from the rollout, so that a resumed run has the same
 *    addresses. The key opens it.
 */
import { hash, timingSafeEqual } from 'node:crypto';
import { EspalierError } from '../core/errors.ts';
import { type RolloutId, type SessionId, sessionId } from '../core/ids.ts';
import type { SessionFacts } from '../core/session.ts';
import { truncates } from '../core/truncation.ts';
import { Refusal } from '../dialects/refusal.ts';
import { newKey } from './access.ts';
import { Session, type SessionOptions, type SessionServices } from './session.ts';

/** A session's name in its URL. */
export const sessionIdOf = (rollout: RolloutId): SessionId =>
  sessionId(hash('sha256', rollout, 'base64url').slice(0, 22));

export interface OpenSession {
  /** As in its URL. */
  readonly id: SessionId;
  readonly baseUrl: string;
  readonly apiKey: string;
  close(): Promise<SessionFacts>;
}

interface Entry {
  readonly id: SessionId;
  readonly digest: Buffer;
  readonly session: Session;
}

export class Sessions {
  readonly #services: SessionServices;
  readonly #origin: () => string;
  readonly #onClosed: (rollout: RolloutId) => Promise<void>;
  readonly #byId = new Map<SessionId, Entry>();
  readonly #byDigest = new Map<string, Entry>();

  /** `origin`: `http://127.0.0.1:4123`, known once the server listens. A session has closed when `onClosed` has ended. */
  constructor(services: SessionServices, origin: () => string, onClosed: (rollout: RolloutId) => Promise<void>) {
    this.#services = services;
    this.#origin = origin;
    this.#onClosed = onClosed;
  }

  get openCount(): number {
    return this.#byId.size;
  }

  /**
   * `apiKey`: one that its owner chose (access.ts); without, a new one.
   * Throws EspalierError('config') when the rollout's session is open already, or trains on what is not the policy's own
   * distribution.
   */
  async open(rollout: RolloutId, options: SessionOptions, apiKey = newKey()): Promise<OpenSession> {
    const id = sessionIdOf(rollout);
    if (this.#byId.has(id)) {
      throw new EspalierError('config', `the session of ${rollout} is open already: close it first`);
    }
    checkTrainable(rollout, options);
    const entry: Entry = { id, digest: digestOf(apiKey), session: new Session(rollout, id, options, this.#services) };
    this.#byId.set(id, entry);
    this.#byDigest.set(entry.digest.toString('hex'), entry);
    return { id, baseUrl: `${this.#origin()}/s/${id}/v1`, apiKey, close: () => this.#close(entry) };
  }

  /** The session that a request belongs to. Throws Refusal: 401 without a valid key, 404 for an unknown session. */
  find(id: string | null, apiKey: string | null): Session {
    if (id !== null && !this.#byId.has(sessionId(id))) {
      throw new Refusal(404, 'There is no such session, or it is closed.', { code: 'session_not_found' });
    }
    if (apiKey === null) {
      throw new Refusal(401, "You didn't provide an API key. Send it as 'Authorization: Bearer' or 'x-api-key'.");
    }
    const digest = digestOf(apiKey);
    const entry = id === null ? this.#byDigest.get(digest.toString('hex')) : this.#byId.get(sessionId(id));
    if (entry === undefined || !timingSafeEqual(entry.digest, digest)) {
      throw new Refusal(401, 'Incorrect API key provided, or its session is closed.', { code: 'invalid_api_key' });
    }
    return entry.session;
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#byId.values()].map((entry) => this.#close(entry)));
  }

  async #close(entry: Entry): Promise<SessionFacts> {
    if (this.#byId.get(entry.id) === entry) this.#byId.delete(entry.id);
    this.#byDigest.delete(entry.digest.toString('hex'));
    const facts = await entry.session.close();
    await this.#onClosed(entry.session.rollout);
    return facts;
  }
}

const digestOf = (key: string): Buffer => hash('sha256', key, 'buffer');

/** Trained on, a truncated draw would count as one of the whole distribution, whose log-probability is recorded. */
function checkTrainable(rollout: RolloutId, { trainable, truncation, samplingBy }: SessionOptions): void {
  if (!trainable) return;
  const why =
    samplingBy === 'request'
      ? 'samples as requests ask'
      : truncation !== undefined && truncates(truncation)
        ? 'truncates sampling (top-k, top-p or min-p)'
        : null;
  if (why === null) return;
  throw new EspalierError(
    'config',
    `the session of ${rollout} ${why}, so it cannot be trained on: what is learned from is drawn from the whole distribution`,
  );
}
