/**
 * A completion in any dialect: request in, turn from the session, reply out.
 *
 * Invariants:
 * 1. The end of a reply is sent after its turn is durable.
 * 2. A stream that fails ends with an error event and a broken connection, never with a clean end.
 * 3. When the client goes away the sampler stops.
 * 4. A reply that the system took and that the client did not get, as its connection was reset, counts as broken.
 * 5. A stream opens as soon as its request is under way: what is refused before has its status, as in the real APIs.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { EspalierError, messageOf } from '../core/errors.ts';
import type { Completion, Dialect, ParsedRequest, ReplyHead } from '../dialects/dialect.ts';
import { Refusal } from '../dialects/refusal.ts';
import { sseHeaders } from '../dialects/sse.ts';
import { sendJson, sendRefusal } from './http-edge.ts';
import type { ServedTurn, Session } from './session.ts';

export interface Exchange {
  readonly session: Session;
  readonly dialect: Dialect;
  readonly parsed: ParsedRequest;
  readonly isRetry: boolean;
  readonly response: ServerResponse;
  readonly head: ReplyHead;
  readonly keepAliveMs: number;
  /** Told of failures that are not the request's fault. */
  readonly onFailure: (failure: EspalierError) => void;
}

export async function answerCompletion(exchange: Exchange): Promise<void> {
  const { response, parsed } = exchange;
  const gone = new AbortController();
  const sentOn = lastReplyOf(response.socket);
  sentOn.turn = null;
  let turn: ServedTurn | null = null;
  response.on('close', () => {
    if (response.writableFinished) return;
    turn?.broken();
    gone.abort(new Refusal(499, 'The client closed the connection.'));
  });
  const stream = parsed.request.stream ? replyStream(exchange) : null;
  try {
    const prepared = Promise.withResolvers<void>();
    const completing = exchange.session.complete(parsed.request, {
      signal: gone.signal,
      isRetry: exchange.isRetry,
      onPrepared: prepared.resolve,
      ...(stream !== null && { onThinking: stream.thinking, onContent: stream.text }),
    });
    if (stream !== null) {
      await Promise.race([completing, prepared.promise.then(() => new Promise(setImmediate))]);
      stream.open();
    }
    turn = await completing;
    sentOn.turn = turn;
    if (gone.signal.aborted) turn.broken();
    if (stream !== null) stream.end(completionOf(turn));
    else sendJson(response, 200, parsed.json(exchange.head, completionOf(turn)));
  } catch (failure) {
    if (gone.signal.aborted) return;
    const refusal = refusalOf(failure, exchange.onFailure);
    if (stream !== null && response.headersSent) stream.fail(refusal);
    else sendRefusal(response, refusal, exchange.dialect);
  } finally {
    stream?.stop();
  }
}

/** What a connection carried last. A client that sends the next request on it has read that reply. */
interface LastReply {
  turn: ServedTurn | null;
}

const lastReplies = new WeakMap<Socket, LastReply>();

function lastReplyOf(socket: Socket | null): LastReply {
  if (socket === null) return { turn: null };
  const known = lastReplies.get(socket);
  if (known !== undefined) return known;
  const last: LastReply = { turn: null };
  lastReplies.set(socket, last);
  // ECONNRESET: bytes were on their way that nobody read.
  socket.once('error', () => last.turn?.broken());
  return last;
}

/** Opens at the first call of any method but stop(). */
interface StreamedReply {
  readonly open: () => void;
  readonly thinking: (piece: string) => void;
  readonly text: (piece: string) => void;
  readonly end: (completion: Completion) => void;
  readonly fail: (refusal: Refusal) => void;
  readonly stop: () => void;
}

function replyStream({ response, head, parsed, keepAliveMs }: Exchange): StreamedReply {
  const events = parsed.stream(head);
  let keepAlive: NodeJS.Timeout | undefined;
  const open = (): void => {
    if (response.headersSent) return;
    response.writeHead(200, sseHeaders);
    response.write(events.begin());
    keepAlive = setInterval(() => response.write(events.keepAlive()), keepAliveMs);
  };
  /** The opening is asked for first: a stream numbers its events. */
  const write = (event: () => string, sent?: () => void): void => {
    open();
    const text = event();
    if (text !== '') response.write(text, sent);
    else if (sent !== undefined) setImmediate(sent);
  };
  return {
    open,
    thinking: (piece) => write(() => events.thinking?.(piece) ?? ''),
    text: (piece) => write(() => events.text(piece)),
    end: (completion) => {
      open();
      response.end(events.end(completion));
    },
    fail: (refusal) =>
      write(
        () => events.failure(refusal),
        () => response.destroy(),
      ),
    stop: () => clearInterval(keepAlive),
  };
}

function completionOf(turn: ServedTurn): Completion {
  return {
    thinking: turn.thinking,
    content: turn.content,
    toolCalls: turn.toolCalls,
    finishReason: turn.record.finishReason,
    stop: turn.stop,
    promptTokens: turn.promptTokens,
    completionTokens: turn.record.completion.length,
  };
}

/**
 * Failures below become 502 (engine) or 503 (record); both may be tried again. A stream that has begun has no status:
 * agents then go by the words, and try an internal server error again.
 */
export function refusalOf(failure: unknown, onFailure: (failure: EspalierError) => void): Refusal {
  if (failure instanceof Refusal) return failure;
  const known =
    failure instanceof EspalierError
      ? failure
      : new EspalierError('provider', `the proxy failed: ${messageOf(failure)}`, { cause: failure });
  onFailure(known);
  const isEngine = known.boundary === 'provider' || known.boundary === 'engine';
  return new Refusal(isEngine ? 502 : 503, `Internal server error: ${known.message}`, {
    code: `${known.boundary}_failure`,
    cause: failure,
  });
}
