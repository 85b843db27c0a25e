/**
 * The sessions of a relay, and which one a request belongs to.
 *
 * Invariants:
 * 1. As in ../sessions.ts: of keys only hashes are kept, and they are compared in constant time.
 * 2. A key of ours never reaches the upstream: `own` names the headers that carry one.
 */
import { hash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { EspalierError } from '../../core/errors.ts';
import type { RolloutId, SessionId } from '../../core/ids.ts';
import type { SessionFacts } from '../../core/session.ts';
import { Refusal } from '../../dialects/refusal.ts';
import type { Journal } from '../../trajectory/journal.ts';
import { newKey } from '../access.ts';
import { apiKeyOf } from '../http-edge.ts';
import { sessionIdOf } from '../sessions.ts';
import { authHeaders } from './headers.ts';
import { RelaySession } from './relay-session.ts';

export interface OpenRelaySession {
  readonly id: SessionId;
  readonly apiKey: string;
  /** Its calls are refused from now on; those under way are recorded when they end, and are not in the facts. */
  close(): Promise<SessionFacts>;
}

interface Entry {
  readonly id: SessionId;
  readonly digest: Buffer;
  readonly session: RelaySession;
}

export class RelaySessions {
  readonly #journal: Journal;
  readonly #onDrop: (failure: EspalierError) => void;
  readonly #entries = new Map<string, Entry>();
  readonly #byDigest = new Map<string, Entry>();
  /** For requests without a key of ours, where that is allowed. */
  #keyless: RelaySession | null = null;

  constructor(journal: Journal, onDrop: (failure: EspalierError) => void) {
    this.#journal = journal;
    this.#onDrop = onDrop;
  }

  /** `apiKey` as in Sessions.open. */
  async open(rollout: RolloutId, apiKey = newKey()): Promise<OpenRelaySession> {
    const id = sessionIdOf(rollout);
    const entry = { id, digest: hash('sha256', apiKey, 'buffer'), session: this.#start(rollout) };
    this.#entries.set(id, entry);
    this.#byDigest.set(entry.digest.toString('hex'), entry);
    return {
      id,
      apiKey,
      close: () => {
        this.#entries.delete(id);
        this.#byDigest.delete(entry.digest.toString('hex'));
        return entry.session.close();
      },
    };
  }

  /** Takes whatever comes without a key of ours. */
  openKeyless(rollout: RolloutId): { close(): Promise<SessionFacts> } {
    const session = this.#start(rollout);
    this.#keyless = session;
    return {
      close: () => {
        this.#keyless = null;
        return session.close();
      },
    };
  }

  /** Throws Refusal: 401 without a valid key, 404 for an unknown session. */
  find(id: string | null, headers: IncomingHttpHeaders): { session: RelaySession; own: ReadonlySet<string> } {
    const named = id === null ? null : this.#entries.get(id);
    if (named === undefined) {
      throw new Refusal(404, 'There is no such session, or it is closed.', { code: 'session_not_found' });
    }
    const own = new Set<string>();
    let found: Entry | null = null;
    for (const name of authHeaders) {
      const key = apiKeyOf({ [name]: headers[name] });
      const digest = key === null ? null : hash('sha256', key, 'buffer');
      const entry = digest === null ? undefined : (named ?? this.#byDigest.get(digest.toString('hex')));
      if (digest === null || entry === undefined || !timingSafeEqual(entry.digest, digest)) continue;
      own.add(name);
      found = entry;
    }
    const session = found?.session ?? (named === null ? this.#keyless : null);
    if (session === null) {
      throw new Refusal(401, 'Incorrect API key provided, or its session is closed.', { code: 'invalid_api_key' });
    }
    return { session, own };
  }

  #start(rollout: RolloutId): RelaySession {
    return new RelaySession(rollout, this.#journal, this.#onDrop);
  }
}
