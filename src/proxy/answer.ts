/**
 * `POST /v1/chat/completions`: request in, turn from the session, reply out.
 *
 * Invariants:
 * 1. The end of a reply is sent after its turn is durable.
 * 2. A stream that fails ends with an error event and a broken connection, never with a clean end.
 * 3. When the client goes away the sampler stops.
 */
import type { ServerResponse } from 'node:http';
import { EspalierError, messageOf } from '../core/errors.ts';
import type { ChatRequest } from '../dialects/chat-completions.ts';
import { type ChatReply, ChatStream, chatReplyJson, type ReplyHead } from '../dialects/chat-reply.ts';
import { Refusal } from '../dialects/refusal.ts';
import { sseHeaders, sseKeepAlive } from '../dialects/sse.ts';
import { sendJson, sendRefusal } from './http-edge.ts';
import type { ServedTurn, Session } from './session.ts';

export interface ChatExchange {
  readonly session: Session;
  readonly request: ChatRequest;
  readonly isRetry: boolean;
  readonly response: ServerResponse;
  readonly head: ReplyHead;
  readonly keepAliveMs: number;
  /** Told of failures that are not the request's fault. */
  readonly onFailure: (failure: EspalierError) => void;
}

export async function answerChat(exchange: ChatExchange): Promise<void> {
  const { response } = exchange;
  const gone = new AbortController();
  let turn: ServedTurn | null = null;
  response.on('close', () => {
    if (response.writableFinished) return;
    turn?.broken();
    gone.abort(new Refusal(499, 'The client closed the connection.'));
  });
  const stream = exchange.request.stream ? openStream(exchange) : null;
  try {
    turn = await exchange.session.complete(exchange.request, {
      signal: gone.signal,
      isRetry: exchange.isRetry,
      ...(stream !== null && { onContent: (piece: string) => stream.text(piece) }),
    });
    if (gone.signal.aborted) turn.broken();
    if (stream !== null) stream.end(replyOf(turn));
    else sendJson(response, 200, chatReplyJson(exchange.head, replyOf(turn)));
  } catch (failure) {
    if (gone.signal.aborted) return;
    const refusal = refusalOf(failure, exchange.onFailure);
    if (stream !== null) stream.fail(refusal);
    else sendRefusal(response, refusal);
  } finally {
    stream?.stop();
  }
}

interface OpenStream {
  text(piece: string): void;
  end(reply: ChatReply): void;
  fail(refusal: Refusal): void;
  stop(): void;
}

function openStream({ response, head, request, keepAliveMs }: ChatExchange): OpenStream {
  const events = new ChatStream(head);
  response.writeHead(200, sseHeaders);
  response.write(events.begin());
  const keepAlive = setInterval(() => response.write(sseKeepAlive), keepAliveMs);
  return {
    text: (piece) => void response.write(events.text(piece)),
    end: (reply) => void response.end(events.end(reply, request.includeUsage)),
    fail: (refusal) => void response.write(events.failure(refusal), () => response.destroy()),
    stop: () => clearInterval(keepAlive),
  };
}

function replyOf(turn: ServedTurn): ChatReply {
  return {
    thinking: turn.thinking,
    content: turn.content,
    toolCalls: turn.toolCalls,
    finishReason: turn.record.finishReason,
    promptTokens: turn.promptTokens,
    completionTokens: turn.record.completion.length,
  };
}

/** Failures below become 502 (engine) or 503 (record); both may be tried again. */
export function refusalOf(failure: unknown, onFailure: (failure: EspalierError) => void): Refusal {
  if (failure instanceof Refusal) return failure;
  const known =
    failure instanceof EspalierError
      ? failure
      : new EspalierError('provider', `the proxy failed: ${messageOf(failure)}`, { cause: failure });
  onFailure(known);
  const isEngine = known.boundary === 'provider' || known.boundary === 'engine';
  return new Refusal(isEngine ? 502 : 503, known.message, { code: `${known.boundary}_failure`, cause: failure });
}
