/**
 * Sessions for agents that someone else launched: open, work, finish with a reward, or cancel.
 *
 * Not a rollout manager: no task is drawn, no agent started, nothing graded. It speaks JSON under
 * `/v1/espalier/sessions`, for whoever holds the admin key; an agent holds only its session's key, so that it cannot
 * reward itself.
 *
 * Invariants:
 * 1. An answer to finish or cancel means that the session is closed and its outcome durable.
 * 2. A session ends once. The same end again gets the same answer, another one 409.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../core/clock.ts';
import { type GroupId, groupId, type RolloutId, rolloutId, type SessionId, taskId } from '../core/ids.ts';
import type { Outcome } from '../core/outcome.ts';
import type { SessionFacts } from '../core/session.ts';
import { invalid, type JsonObject, objectAt, textAt, wholeAt } from '../dialects/json-reader.ts';
import { Refusal } from '../dialects/refusal.ts';
import type { Journal } from '../trajectory/journal.ts';
import type { AccessKey } from './access.ts';
import { apiKeyOf, readJson, sendJson } from './http-edge.ts';

/** What the launcher may choose; what it leaves out is the server's choice. */
export interface SessionWishes {
  readonly temperature: number | null;
  readonly maxTokensPerTurn: number | null;
  /** Entries of a model map, before the server's. */
  readonly models: readonly string[];
  /** `request`: the agent's own temperature, top_p, top_k, min_p and seed are honored. */
  readonly samplingBy: 'session' | 'request' | null;
}

/** What is opened for an agent. */
export interface LaunchedSession {
  readonly id: SessionId;
  readonly apiKey: string;
  close(): Promise<SessionFacts>;
}

export interface RewardedSession {
  readonly rollout: RolloutId;
  readonly group: GroupId;
  /** The group's number on this server. */
  readonly draw: number;
  readonly reward: number;
}

export interface SessionsApiOptions {
  readonly adminKey: AccessKey;
  readonly open: (rollout: RolloutId, wishes: SessionWishes) => Promise<LaunchedSession>;
  readonly journal: Journal;
  readonly clock: Clock;
  /** The name that agents may ask for, or null: those of the upstream. */
  readonly modelName: string | null;
  /** Told of each session that was finished with a reward, when its outcome is durable. */
  readonly onFinished?: (finished: RewardedSession) => void;
  /** Default 10,000: more open sessions get 429. */
  readonly maxOpen?: number;
}

type End = { readonly action: 'finish'; readonly reward: number } | { readonly action: 'cancel' };

interface Launched {
  readonly rollout: RolloutId;
  readonly group: GroupId;
  readonly draw: number;
  readonly task: string;
  readonly session: LaunchedSession;
  readonly openedAt: number;
  end: End | null;
  ended: Promise<string> | null;
}

const root = '/espalier/sessions';
/** Ended sessions whose answer can be asked for again. */
const maxRemembered = 10_000;
const bodyLimitBytes = 1 << 20;

/** `path` as in Route. */
export const isSessionsPath = (path: string): boolean => path === root || path.startsWith(`${root}/`);

export class SessionsApi {
  readonly #options: SessionsApiOptions;
  readonly #sessions = new Map<string, Launched>();
  /** Group by the launcher's name for it: its draw, and the rollouts that it has. */
  readonly #groups = new Map<string, { readonly draw: number; rollouts: number }>();
  #draws = 0;
  #open = 0;

  constructor(options: SessionsApiOptions) {
    this.#options = options;
  }

  /** Answers a request for a path of isSessionsPath. Throws Refusal, EspalierError('store'). */
  async answer(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.#options.adminKey.matches(apiKeyOf(request.headers))) {
      throw new Refusal(401, 'Sessions are opened and ended with the admin key.', { code: 'invalid_api_key' });
    }
    const action = /^\/([\w-]+)\/(finish|cancel)$/.exec(path.slice(root.length));
    if (path !== root && action === null) throw new Refusal(404, 'There is no such address.', { code: 'unknown_url' });
    if (request.method !== 'POST') throw new Refusal(405, `Use POST here, not ${request.method}.`);
    const body = await bodyOf(request);
    if (action === null) {
      sendJson(response, 201, await this.#launch(body, request.headers.host ?? ''));
    } else {
      const launched = this.#sessions.get(action[1] as string);
      if (launched === undefined) {
        throw new Refusal(404, 'There is no such session.', { code: 'session_not_found' });
      }
      sendJson(response, 200, await this.#end(launched, endOf(action[2] as End['action'], body)));
    }
  }

  /** Cancels what is open, and records what could not be recorded before. */
  async close(): Promise<void> {
    const open = [...this.#sessions.values()].filter(({ ended }) => ended === null);
    const cancel = { action: 'cancel' } as const;
    await Promise.all(open.map((launched) => this.#end(launched, launched.end ?? cancel, 'the server ended')));
  }

  async #launch(body: JsonObject, host: string): Promise<string> {
    const { task, group, temperature, maxTokensPerTurn, models, samplingBy } = known(body, openFields);
    const wishes = {
      temperature: temperatureAt(temperature),
      maxTokensPerTurn: wholeAt(maxTokensPerTurn, 'maxTokensPerTurn', 1),
      models: Object.entries(objectAt(models ?? {}, 'models')).map(
        ([name, to]) => `${name}=${textAt(to, `models.${name}`)}`,
      ),
      samplingBy: samplingByAt(samplingBy),
    };
    const name = group === undefined ? null : textAt(group, 'group');
    const label = task === undefined ? '' : textAt(task, 'task');
    if (this.#open >= (this.#options.maxOpen ?? 10_000)) {
      throw new Refusal(429, `${this.#open} sessions are open: finish or cancel some.`, { code: 'too_many_sessions' });
    }
    const { rollout, group: groupOfIt, draw } = this.#nextRollout(name);
    this.#open++;
    const session = await this.#options.open(rollout, wishes).catch((failure: unknown) => {
      this.#open--;
      throw failure;
    });
    const openedAt = this.#options.clock.now();
    this.#sessions.set(session.id, {
      ...{ rollout, group: groupOfIt, draw },
      task: label,
      session,
      openedAt,
      end: null,
      ended: null,
    });
    // The name under which the launcher reached this server is one that it can give to its agents.
    const base = `http://${host}/s/${session.id}`;
    const { apiKey } = session;
    return JSON.stringify({
      id: session.id,
      rollout,
      baseUrl: `${base}/v1`,
      apiKey,
      ...(this.#options.modelName !== null && { model: this.#options.modelName }),
      env: {
        OPENAI_BASE_URL: `${base}/v1`,
        OPENAI_API_KEY: apiKey,
        ANTHROPIC_BASE_URL: base,
        ANTHROPIC_API_KEY: apiKey,
      },
    });
  }

  /** Rollouts of one group are attempts at the same task: their rewards are compared. */
  #nextRollout(name: string | null): Pick<Launched, 'rollout' | 'group' | 'draw'> {
    const known = name === null ? undefined : this.#groups.get(name);
    const group = known ?? { draw: this.#freeDraw(), rollouts: 0 };
    if (name !== null) this.#groups.set(name, group);
    const id = groupId('session', group.draw);
    return { rollout: rolloutId(id, group.rollouts++), group: id, draw: group.draw };
  }

  #freeDraw(): number {
    const { sessions } = this.#options.journal.index;
    while (sessions.has(rolloutId(groupId('session', this.#draws), 0))) this.#draws++;
    return this.#draws++;
  }

  #end(launched: Launched, end: End, why = 'by whoever launched the agent'): Promise<string> {
    if (launched.end !== null && JSON.stringify(launched.end) !== JSON.stringify(end)) {
      const how = launched.end.action === 'cancel' ? 'cancelled' : 'finished with another reward';
      throw new Refusal(409, `The session was ${how} already.`, { code: 'session_ended' });
    }
    if (launched.end === null) {
      launched.end = end;
      this.#open--;
      this.#forgetOld();
    }
    // What could not be recorded is no answer: the same end may be asked for again.
    launched.ended ??= this.#record(launched, end, why).catch((failure: unknown) => {
      launched.ended = null;
      throw failure;
    });
    return launched.ended;
  }

  async #record({ rollout, group, draw, task, session, openedAt }: Launched, end: End, why: string): Promise<string> {
    const facts = await session.close();
    await this.#options.journal.ready();
    const outcome: Outcome = end.action === 'cancel' ? { status: 'cancelled', why } : { status: 'completed' };
    await this.#options.journal.append({
      type: 'outcome',
      rollout,
      outcome,
      task: taskId(task),
      facts,
      attempts: 1,
      seconds: (this.#options.clock.now() - openedAt) / 1000,
      ...(end.action === 'finish' && { reward: end.reward }),
    });
    if (end.action === 'finish') this.#options.onFinished?.({ rollout, group, draw, reward: end.reward });
    return JSON.stringify({
      id: session.id,
      rollout,
      outcome,
      reward: end.action === 'finish' ? end.reward : null,
      facts,
    });
  }

  #forgetOld(): void {
    if (this.#sessions.size <= (this.#options.maxOpen ?? 10_000) + maxRemembered) return;
    for (const [id, { end }] of this.#sessions) {
      if (end === null) continue;
      this.#sessions.delete(id);
      return;
    }
  }
}

/** A POST without a body asks for what an empty object asks for. */
async function bodyOf(request: IncomingMessage): Promise<JsonObject> {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  if (encoding === undefined && Number(length ?? 0) === 0) return {};
  return objectAt(await readJson(request, bodyLimitBytes), 'body');
}

const openFields = ['task', 'group', 'temperature', 'maxTokensPerTurn', 'models', 'samplingBy'];

function known(body: JsonObject, names: readonly string[]): JsonObject {
  for (const name of Object.keys(body)) {
    if (!names.includes(name)) {
      throw invalid(name, `Unknown field '${name}'; known are: ${names.join(', ') || 'none'}.`, 'unknown_parameter');
    }
  }
  return body;
}

function endOf(action: End['action'], body: JsonObject): End {
  if (action === 'cancel') {
    known(body, []);
    return { action };
  }
  const { reward } = known(body, ['reward']);
  if (typeof reward !== 'number' || !(reward >= 0 && reward <= 1)) {
    throw invalid('reward', "Invalid value for 'reward': expected a number from 0 to 1.", 'invalid_value');
  }
  return { action, reward };
}

function samplingByAt(value: unknown): SessionWishes['samplingBy'] {
  if (value === undefined) return null;
  if (value !== 'session' && value !== 'request') {
    throw invalid('samplingBy', "Invalid value for 'samplingBy': expected 'session' or 'request'.", 'invalid_value');
  }
  return value;
}

function temperatureAt(value: unknown): number | null {
  if (value === undefined) return null;
  if (typeof value !== 'number' || !(value >= 0 && value <= 2)) {
    throw invalid('temperature', "Invalid value for 'temperature': expected a number from 0 to 2.", 'invalid_value');
  }
  return value;
}
