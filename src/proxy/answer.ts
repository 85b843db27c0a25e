/**
 * A completion in any dialect: request in, turn from the session, reply out.
 *
 * Invariants:
 * 1. The end of a reply is sent after its turn is durable.
 * 2. A stream that fails ends with an error event and a broken connection, never with a clean end.
 * 3. When the client goes away the sampler stops.
 */
import type { ServerResponse } from 'node:http';
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
  let turn: ServedTurn | null = null;
  response.on('close', () => {
    if (response.writableFinished) return;
    turn?.broken();
    gone.abort(new Refusal(499, 'The client closed the connection.'));
  });
  const stream = parsed.request.stream ? openStream(exchange) : null;
  try {
    turn = await exchange.session.complete(parsed.request, {
      signal: gone.signal,
      isRetry: exchange.isRetry,
      ...(stream !== null && { onContent: (piece: string) => stream.text(piece) }),
    });
    if (gone.signal.aborted) turn.broken();
    if (stream !== null) stream.end(completionOf(turn));
    else sendJson(response, 200, parsed.json(exchange.head, completionOf(turn)));
  } catch (failure) {
    if (gone.signal.aborted) return;
    const refusal = refusalOf(failure, exchange.onFailure);
    if (stream !== null) stream.fail(refusal);
    else sendRefusal(response, refusal, exchange.dialect);
  } finally {
    stream?.stop();
  }
}

interface OpenStream {
  text(piece: string): void;
  end(completion: Completion): void;
  fail(refusal: Refusal): void;
  stop(): void;
}

function openStream({ response, head, parsed, keepAliveMs }: Exchange): OpenStream {
  const events = parsed.stream(head);
  response.writeHead(200, sseHeaders);
  response.write(events.begin());
  const keepAlive = setInterval(() => response.write(events.keepAlive()), keepAliveMs);
  return {
    text: (piece) => void response.write(events.text(piece)),
    end: (completion) => void response.end(events.end(completion)),
    fail: (refusal) => void response.write(events.failure(refusal), () => response.destroy()),
    stop: () => clearInterval(keepAlive),
  };
}

function completionOf(turn: ServedTurn): Completion {
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
