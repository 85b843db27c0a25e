/**
 * A relay in front of a foreign upstream: agents speak to it as to the upstream, and what passes is recorded.
 *
 * Not the proxy of our own engines (../proxy.ts): nothing is rendered, sampled or rewritten here.
 *
 * Invariants:
 * 1. Bytes pass untouched in both directions; capture never delays, alters or breaks a reply.
 * 2. It listens on loopback unless told otherwise, and answers only to names that it was told.
 * 3. No header is recorded, and no key of ours is passed on.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { EspalierError } from '../../core/errors.ts';
import { chatErrorJson } from '../../dialects/chat-reply.ts';
import { messagesErrorJson } from '../../dialects/messages-reply.ts';
import type { Refusal } from '../../dialects/refusal.ts';
import type { Journal } from '../../trajectory/journal.ts';
import { checkOrigin, servedNames } from '../access.ts';
import { refusalOf } from '../answer.ts';
import { checkHost, routeOf, sendJson } from '../http-edge.ts';
import { createHttpServer } from '../http-server.ts';
import { listen, originOf } from '../listen.ts';
import { type Metrics, metricsPath } from '../metrics.ts';
import { isSessionsPath, type SessionsApi } from '../sessions-api.ts';
import { CopyBudget } from './copy.ts';
import { agentFor, forward } from './forward.ts';
import { authHeaders, keyHeader, passed, type Upstream } from './headers.ts';
import { formatOf } from './read-exchange.ts';
import { RelaySessions } from './relay-sessions.ts';

export interface RelayOptions {
  readonly upstream: Upstream;
  /** Sent in place of whatever key the agent has; null passes the agent's own on. */
  readonly upstreamKey: string | null;
  readonly journal: Journal;
  readonly sessionsApi?: SessionsApi;
  /** Answered under `/v1/espalier/metrics`. */
  readonly metrics?: Metrics;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  readonly allowedHosts?: readonly string[];
  /** What is kept of each body of a call, and of all calls under way. Default 64 and 512 MiB; more passes unrecorded. */
  readonly copyLimitBytes?: number;
  readonly copyBudgetBytes?: number;
  /** Default 10 seconds. */
  readonly connectTimeoutMs?: number;
  /** Told of each call that could not be recorded. */
  readonly onDrop?: (failure: EspalierError) => void;
}

export interface RelayServer {
  /** `http://127.0.0.1:4123/v1` */
  readonly url: string;
  readonly sessions: RelaySessions;
  /** Ends the calls under way, and waits until what they were is recorded. The journal stays open. */
  close(): Promise<void>;
}

/** Throws EspalierError('config') when the address cannot be listened on. */
export async function createRelay(options: RelayOptions): Promise<RelayServer> {
  const host = options.host ?? '127.0.0.1';
  const agent = agentFor(options.upstream);
  const sessions = new RelaySessions(options.journal, options.onDrop ?? (() => undefined));
  const edge: Edge = {
    ...options,
    sessions,
    agent,
    hosts: servedNames(host, options.allowedHosts),
    budget: new CopyBudget(options.copyBudgetBytes ?? 512 << 20),
  };
  const server = createHttpServer();
  const underWay = new Set<Promise<void>>();
  server.on('request', (request, response) => {
    const call = answer(edge, request, response).finally(() => underWay.delete(call));
    underWay.add(call);
  });
  await listen(server, host, options.port ?? 0);
  return {
    url: `${originOf(server, host)}/v1`,
    sessions,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await Promise.all(underWay);
      agent.destroy();
      await closed;
    },
  };
}

interface Edge extends RelayOptions {
  readonly sessions: RelaySessions;
  readonly agent: ReturnType<typeof agentFor>;
  readonly hosts: ReadonlySet<string>;
  readonly budget: CopyBudget;
}

/** Of `/s/<session>/v1/...`; every other path is the upstream's. */
function splitUrl(url: string): { readonly session: string | null; readonly path: string } {
  const match = /^\/s\/([\w-]+)(\/.*)?$/.exec(url);
  return match === null ? { session: null, path: url } : { session: match[1] as string, path: match[2] ?? '/' };
}

/** Never rejects. */
async function answer(edge: Edge, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { session: name, path } = splitUrl(request.url ?? '/');
  edge.metrics?.call(response);
  try {
    checkHost(request.headers.host, edge.hosts);
    checkOrigin(request.headers.origin, edge.hosts);
    const route = routeOf(path);
    if (edge.sessionsApi !== undefined && route !== null && isSessionsPath(route.path)) {
      return await edge.sessionsApi.answer(route.path, request, response);
    }
    if (edge.metrics !== undefined && route?.path === metricsPath) return await edge.metrics.answer(request, response);
    await relay(edge, name, path, request, response);
  } catch (failure) {
    if (response.headersSent || response.destroyed) response.destroy();
    else
      sendFailure(
        response,
        path,
        refusalOf(failure, () => undefined),
      );
  }
}

async function relay(
  edge: Edge,
  name: string | null,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { session, own } = edge.sessions.find(name, request.headers);
  const format = formatOf(request.method, path);
  const exchange = await forward({
    upstream: edge.upstream,
    agent: edge.agent,
    path,
    method: request.method ?? 'GET',
    headers: headersFor(edge, path, request, own),
    body: request,
    response,
    budget: edge.budget,
    copyLimitBytes: format === null ? 0 : (edge.copyLimitBytes ?? 64 << 20),
    connectTimeoutMs: edge.connectTimeoutMs ?? 10_000,
  });
  const bare = path.split('?')[0] as string;
  const requestEncoding = request.headers['content-encoding'];
  if (format !== null) session.take({ format, path: bare, exchange, requestEncoding });
}

function headersFor(edge: Edge, path: string, request: IncomingMessage, own: ReadonlySet<string>): string[] {
  const { upstreamKey } = edge;
  const left = new Set(['host', ...(upstreamKey === null ? own : authHeaders)]);
  const kept = passed(request.rawHeaders, left);
  if (request.headers['transfer-encoding'] !== undefined) kept.push('Transfer-Encoding', 'chunked');
  return upstreamKey === null ? kept : [...kept, ...keyHeader(path, upstreamKey)];
}

function sendFailure(response: ServerResponse, path: string, refusal: Refusal): void {
  const body = path.startsWith('/v1/messages') ? messagesErrorJson(refusal) : chatErrorJson(refusal);
  sendJson(response, refusal.status, body, {
    ...((refusal.status === 429 || refusal.status >= 500) && { 'retry-after': '1' }),
    // What is left of the request will not be read.
    connection: 'close',
  });
}
