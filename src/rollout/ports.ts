/** What the rollout room needs of rooms above it; `run` plugs the real ones in. */
import type { RolloutId } from '../core/ids.ts';
import type { SessionFacts } from '../core/session.ts';
import type { Truncation } from '../core/truncation.ts';

/** Opens and closes sessions on the proxy. */
export interface SessionService {
  /**
   * Opening the same rollout again (a retry, a resumed run) continues its recorded turns: a request that equals a
   * recorded turn's gets the recorded completion, so that the rollout goes on as if nothing had happened.
   */
  open(rollout: RolloutId, options: SessionOptions): Promise<OpenSession>;
}

export interface SessionOptions {
  /** The session owns sampling; what the agent asks for is recorded and overridden. */
  readonly temperature: number;
  /** Not given: every token may be drawn, as must be where the rollout is trainable. */
  readonly truncation?: Truncation;
  readonly maxTokensPerTurn: number;
  /** Turn t, attempt a samples from hash(seed, t, a). */
  readonly seed: bigint;
  readonly trainable: boolean;
}

export interface OpenSession {
  readonly baseUrl: string;
  readonly apiKey: string;
  /** Its requests are refused from now on. Gives what the rollout did, in facts of the record. */
  close(): Promise<SessionFacts>;
}
