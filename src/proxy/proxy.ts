/**
 * The proxy between agents and the policy: an OpenAI-compatible server whose every reply is a recorded turn.
 *
 * Not an engine and not a rollout manager: `sessions.open` is all that those who start agents need.
 *
 * Invariants:
 * 1. It listens on loopback unless told otherwise, and answers only to names that it was told.
 * 2. Every request belongs to an open session, by key, and by path when there is one.
 * 3. Bodies, headers and idle connections have limits.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EspalierError, messageOf } from '../core/errors.ts';
import { chatCompletions } from '../dialects/chat-completions.ts';
import { modelListJson } from '../dialects/chat-reply.ts';
import type { Dialect } from '../dialects/dialect.ts';
import { Refusal } from '../dialects/refusal.ts';
import type { Sampler } from '../engine/engine.ts';
import type { Renderer } from '../tokens/renderer.ts';
import type { Journal } from '../trajectory/journal.ts';
import { answerCompletion, refusalOf } from './answer.ts';
import { apiKeyOf, checkHost, isRetry, type Route, readJson, routeOf, sendJson, sendRefusal } from './http-edge.ts';
import { Sessions } from './sessions.ts';

export interface ProxyOptions {
  /** A function when the sampler changes in the life of the proxy; asked once a turn. */
  readonly sampler: Sampler | (() => Sampler);
  readonly renderer: Renderer;
  readonly journal: Journal;
  /** The one model name that is served; others get 404. */
  readonly modelName: string;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Host names, beside loopback and `host`, that requests may carry. */
  readonly allowedHosts?: readonly string[];
  /** Default 64 MiB. */
  readonly bodyLimitBytes?: number;
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
  const sampler = options.sampler;
  const server = createServer({ headersTimeout: 30_000, requestTimeout: 120_000, keepAliveTimeout: 75_000 });
  const services = {
    journal: options.journal,
    renderer: options.renderer,
    sampler: typeof sampler === 'function' ? sampler : () => sampler,
  };
  const sessions = new Sessions(services, () => originOf(server, host));
  const edge: Edge = {
    sessions,
    modelName: options.modelName,
    hosts: new Set(
      ['127.0.0.1', 'localhost', '[::1]', host, ...(options.allowedHosts ?? [])].map((name) => name.toLowerCase()),
    ),
    bodyLimitBytes: options.bodyLimitBytes ?? 64 << 20,
    keepAliveMs: options.keepAliveMs ?? 10_000,
    unixSeconds: options.unixSeconds ?? (() => Math.floor(Date.now() / 1000)),
    onFailure: options.onFailure ?? (() => undefined),
  };
  server.on('request', (request, response) => void answer(edge, request, response));
  await listen(server, host, options.port ?? 0);
  return {
    url: `${originOf(server, host)}/v1`,
    sessions,
    close: async () => {
      await sessions.closeAll();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Edge {
  readonly sessions: Sessions;
  readonly modelName: string;
  readonly hosts: ReadonlySet<string>;
  readonly bodyLimitBytes: number;
  readonly keepAliveMs: number;
  readonly unixSeconds: () => number;
  readonly onFailure: (failure: EspalierError) => void;
}

const dialects: readonly Dialect[] = [chatCompletions];

async function answer(edge: Edge, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const route = routeOf(request.url ?? '');
  const dialect = dialects.find(({ path }) => path === route?.path);
  try {
    checkHost(request.headers.host, edge.hosts);
    if (route?.path === '/models') answerModels(edge, route, request, response);
    else if (route !== null && dialect !== undefined) await complete(edge, route, dialect, request, response);
    else
      throw new Refusal(404, `There is no ${request.method} ${request.url?.split('?')[0]} here.`, {
        code: 'unknown_url',
      });
  } catch (failure) {
    if (response.headersSent || response.destroyed) response.destroy();
    else sendRefusal(response, refusalOf(failure, edge.onFailure), dialect ?? chatCompletions);
  }
}

function answerModels(edge: Edge, route: Route, request: IncomingMessage, response: ServerResponse): void {
  checkMethod(request, 'GET');
  edge.sessions.find(route.session, apiKeyOf(request.headers));
  sendJson(response, 200, modelListJson(edge.modelName, edge.unixSeconds()));
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
  const parsed = dialect.parse(await readJson(request, edge.bodyLimitBytes));
  const { model } = parsed.request;
  if (model !== edge.modelName) {
    throw new Refusal(404, `The model '${model}' does not exist; this proxy serves '${edge.modelName}'.`, {
      param: 'model',
      code: 'model_not_found',
    });
  }
  await answerCompletion({
    session,
    dialect,
    parsed,
    isRetry: isRetry(request.headers),
    response,
    head: { id: session.replyId(), model: edge.modelName, created: edge.unixSeconds() },
    keepAliveMs: edge.keepAliveMs,
    onFailure: edge.onFailure,
  });
}

function checkMethod(request: IncomingMessage, method: string): void {
  if (request.method !== method) throw new Refusal(405, `Use ${method} here, not ${request.method}.`);
}

function originOf(server: Server, host: string): string {
  const { port } = server.address() as AddressInfo;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why =
        cause.code === 'EADDRINUSE' ? 'the port is in use: choose another, or 0 for any free one' : messageOf(cause);
      reject(new EspalierError('config', `cannot listen on ${host}:${port}: ${why}`, { cause }));
    });
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}
