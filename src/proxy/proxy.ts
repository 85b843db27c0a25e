/**
 * The proxy between agents and the policy: an OpenAI-compatible server whose every reply is a recorded turn.
 *
 * Not an engine and not a rollout manager: `sessions.open` is all that those who start agents need.
 *
 * Invariants:
 * 1. It listens on loopback unless told otherwise, and answers only to names that it was told.
 * 2. Every request belongs to an open session, by key, and by path when there is one.
 * 3. Bodies, headers, idle connections and calls under way have limits.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { EspalierError } from '../core/errors.ts';
import { chatCompletions } from '../dialects/chat-completions.ts';
import { modelListJson } from '../dialects/chat-reply.ts';
import type { Dialect, ReplyMemory } from '../dialects/dialect.ts';
import type { JsonObject } from '../dialects/json-reader.ts';
import { countTokensDialect, messagesDialect } from '../dialects/messages.ts';
import { messagesModelListJson } from '../dialects/messages-reply.ts';
import { Refusal } from '../dialects/refusal.ts';
import { responses } from '../dialects/responses.ts';
import type { Sampler } from '../engine/engine.ts';
import type { Renderer } from '../tokens/renderer.ts';
import type { Journal } from '../trajectory/journal.ts';
import { checkOrigin, servedNames } from './access.ts';
import { answerCompletion, refusalOf } from './answer.ts';
import { FrozenModels } from './frozen-models.ts';
import {
  apiKeyOf,
  checkHost,
  isRetry,
  jsonIn,
  type Route,
  readBody,
  routeOf,
  sendJson,
  sendRefusal,
} from './http-edge.ts';
import { createHttpServer, type SlowRequest } from './http-server.ts';
import { listen, originOf } from './listen.ts';
import { type Metrics, metricsPath } from './metrics.ts';
import { ModelMap } from './model-map.ts';
import type { Session } from './session.ts';
import { Sessions } from './sessions.ts';
import { isSessionsPath, type SessionsApi } from './sessions-api.ts';

export interface ProxyOptions {
  /** A function when the sampler changes in the life of the proxy; asked once a turn. */
  readonly sampler: Sampler | (() => Sampler);
  readonly renderer: Renderer;
  readonly journal: Journal;
  /** The model name that is listed, and the only one that is served unless `models` says otherwise. */
  readonly modelName: string;
  /** Which model answers under which name. */
  readonly models?: ModelMap;
  /** Sent to the upstreams of `models`; without, no key is. */
  readonly upstreamKey?: string | null;
  /** For agents that someone else launched; without it there is no such address. */
  readonly sessionsApi?: SessionsApi;
  /** Answered under `/v1/espalier/metrics`. */
  readonly metrics?: Metrics;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Host names, beside loopback and `host`, that requests may carry. */
  readonly allowedHosts?: readonly string[];
  /** Default 64 MiB. */
  readonly bodyLimitBytes?: number;
  /** How slow a client may send. Default 30 seconds for its headers, 120 for all of a request. */
  readonly slowRequest?: SlowRequest;
  /** Completions under way, above which a call gets 429 and may be tried again; asked at each call. Default 4,096. */
  readonly maxCalls?: number | (() => number);
  /** Silence in a stream after which a comment is sent. Default 10 seconds. */
  readonly keepAliveMs?: number;
  /** Seconds since 1970, for `created`; no model reads it. */
  readonly unixSeconds?: () => number;
  /** Told of failures of engine and store; a failed store should end the run. */
  readonly onFailure?: (failure: EspalierError) => void;
}

export interface ProxyServer {
  /** `http://127.0.0.1:4123/v1`: for agents that know only a key. */
  readonly url: string;
  readonly sessions: Pick<Sessions, 'open' | 'openCount'>;
  /** Closes sessions and connections. The journal stays open: it is its owner's. */
  close(): Promise<void>;
}

/** Throws EspalierError('config') when the address cannot be listened on. */
export async function createProxy(options: ProxyOptions): Promise<ProxyServer> {
  const host = options.host ?? '127.0.0.1';
  const { sampler, maxCalls = 4096 } = options;
  const server = createHttpServer(options.slowRequest);
  const services = {
    journal: options.journal,
    renderer: options.renderer,
    sampler: typeof sampler === 'function' ? sampler : () => sampler,
  };
  const onFailure = options.onFailure ?? (() => undefined);
  const frozen = new FrozenModels(options.journal, options.upstreamKey ?? null, onFailure);
  const sessions = new Sessions(
    services,
    () => originOf(server, host),
    (rollout) => frozen.end(rollout),
  );
  const edge: Edge = {
    sessions,
    modelName: options.modelName,
    models: options.models ?? ModelMap.only(options.modelName),
    frozen,
    sessionsApi: options.sessionsApi,
    metrics: options.metrics,
    hosts: servedNames(host, options.allowedHosts),
    bodyLimitBytes: options.bodyLimitBytes ?? 64 << 20,
    maxCalls: typeof maxCalls === 'function' ? maxCalls : () => maxCalls,
    underWay: new Set(),
    keepAliveMs: options.keepAliveMs ?? 10_000,
    unixSeconds: options.unixSeconds ?? (() => Math.floor(Date.now() / 1000)),
    onFailure,
  };
  server.on('request', (request, response) => void answer(edge, request, response));
  server.on('checkExpectation', (request, response) => void answer(edge, request, response));
  await listen(server, host, options.port ?? 0);
  return {
    url: `${originOf(server, host)}/v1`,
    sessions,
    close: async () => {
      await sessions.closeAll();
      server.closeAllConnections();
      frozen.close();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Edge {
  readonly sessions: Sessions;
  readonly modelName: string;
  readonly models: ModelMap;
  readonly frozen: FrozenModels;
  readonly sessionsApi: SessionsApi | undefined;
  readonly metrics: Metrics | undefined;
  readonly hosts: ReadonlySet<string>;
  readonly bodyLimitBytes: number;
  readonly maxCalls: () => number;
  readonly underWay: Set<ServerResponse>;
  readonly keepAliveMs: number;
  readonly unixSeconds: () => number;
  readonly onFailure: (failure: EspalierError) => void;
}

const dialects: readonly Dialect[] = [chatCompletions, responses, messagesDialect, countTokensDialect];

/** What a session's agent may refer to later; it goes when the session goes. */
const memories = new WeakMap<Session, ReplyMemory>();

async function answer(edge: Edge, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const route = routeOf(request.url ?? '');
  const dialect = dialects.find(({ path }) => path === route?.path);
  edge.metrics?.call(response);
  try {
    checkHost(request.headers.host, edge.hosts);
    checkOrigin(request.headers.origin, edge.hosts);
    if (route !== null && edge.sessionsApi !== undefined && isSessionsPath(route.path)) {
      return await edge.sessionsApi.answer(route.path, request, response);
    }
    if (edge.metrics !== undefined && route?.path === metricsPath) return await edge.metrics.answer(request, response);
    if (route?.path === '/models') answerModels(edge, route, request, response);
    else if (route !== null && dialect !== undefined) await complete(edge, route, dialect, request, response);
    else
      throw new Refusal(404, `There is no ${request.method} ${request.url?.split('?')[0]} here.`, {
        code: 'unknown_url',
      });
  } catch (failure) {
    if (response.headersSent || response.destroyed) response.destroy();
    else sendRefusal(response, refusalOf(failure, edge.onFailure), dialect ?? usualDialect(request));
  }
}

/** What a client reads where the path does not say it. */
function usualDialect(request: IncomingMessage): Dialect {
  return request.headers['anthropic-version'] === undefined ? chatCompletions : messagesDialect;
}

function answerModels(edge: Edge, route: Route, request: IncomingMessage, response: ServerResponse): void {
  checkMethod(request, 'GET');
  edge.sessions.find(route.session, apiKeyOf(request.headers));
  const list = usualDialect(request) === messagesDialect ? messagesModelListJson : modelListJson;
  sendJson(response, 200, list(edge.modelName, edge.unixSeconds()));
}

async function complete(
  edge: Edge,
  route: Route,
  dialect: Dialect,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  checkMethod(request, 'POST');
  const session = edge.sessions.find(route.session, apiKeyOf(request.headers));
  admit(edge, response);
  const bytes = await readBody(request, edge.bodyLimitBytes);
  // Its client went away while it waited: nobody would get the turn.
  if (response.destroyed) return;
  const json = jsonIn(bytes);
  const asked = (json as { readonly model?: unknown } | null)?.model;
  // A name that is none is the dialect's to refuse.
  const target = (session.models ?? edge.models).get(typeof asked === 'string' ? asked : edge.modelName);
  if (target.to === 'refuse') {
    throw new Refusal(404, `The model '${asked}' does not exist; this proxy serves '${edge.modelName}'.`, {
      param: 'model',
      code: 'model_not_found',
    });
  }
  if (target.to === 'upstream') {
    const path = `/v1${route.path}${/\?.*$/.exec(request.url ?? '')?.[0] ?? ''}`;
    const body = { bytes, json: json as JsonObject };
    await edge.frozen.answer({ rollout: session.rollout, target, path, body, request, response });
    return;
  }
  const parsed = dialect.parse(json, memoryOf(session));
  const answering = target.trainable ? session : session.untrained;
  if (parsed.count !== undefined) {
    sendJson(response, 200, parsed.count(await answering.countTokens(parsed.request)));
    return;
  }
  const { model, wishes } = parsed.request;
  checkWishes(wishes);
  await answerCompletion({
    session: answering,
    dialect,
    parsed,
    isRetry: isRetry(request.headers),
    response,
    head: { id: answering.replyId(), model, created: edge.unixSeconds() },
    keepAliveMs: edge.keepAliveMs,
    onFailure: edge.onFailure,
  });
}

/** Before the body is read: what waits holds its body. Throws Refusal. */
function admit({ underWay, maxCalls }: Edge, response: ServerResponse): void {
  if (underWay.size >= maxCalls()) {
    throw new Refusal(429, `${underWay.size} calls are under way: try again in a moment.`, {
      type: 'rate_limit_error',
      code: 'rate_limit_exceeded',
    });
  }
  underWay.add(response);
  response.once('close', () => underWay.delete(response));
}

function memoryOf(session: Session): ReplyMemory {
  const known = memories.get(session) ?? new Map();
  memories.set(session, known);
  return known;
}

function checkMethod(request: IncomingMessage, method: string): void {
  if (request.method !== method) throw new Refusal(405, `Use ${method} here, not ${request.method}.`);
}

/** They go into the record of every turn, which is kept in memory too. */
function checkWishes(wishes: Readonly<Record<string, unknown>>): void {
  const length = JSON.stringify(wishes).length;
  if (length > mostWishes) {
    throw new Refusal(400, `What is recorded with a turn would be ${length} characters, more than ${mostWishes}.`);
  }
}

const mostWishes = 1 << 20;
