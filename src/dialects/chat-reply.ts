/**
 * The dialect of `POST /v1/chat/completions`: a completion to JSON or to chunks, and errors.
 *
 * Invariants:
 * 1. The deltas of a stream, joined, are the message of the JSON reply.
 * 2. The chunk with `finish_reason` and `[DONE]` come last, and only from end().
 */
import type { ToolCall } from '../core/message.ts';
import type { FinishReason } from '../core/turn.ts';
import type { Refusal } from './refusal.ts';
import { sseDone, sseEvent } from './sse.ts';

/** What does not change within a reply. */
export interface ReplyHead {
  /** Unique in its session, e.g. `chatcmpl-<session>-3`. */
  readonly id: string;
  readonly model: string;
  /** Seconds since 1970. */
  readonly created: number;
}

export interface ChatReply {
  readonly thinking: string;
  readonly content: string;
  readonly toolCalls: readonly ToolCall[];
  readonly finishReason: FinishReason;
  readonly promptTokens: number;
  readonly completionTokens: number;
}

export function chatReplyJson(head: ReplyHead, reply: ChatReply): string {
  const message = {
    role: 'assistant',
    content: reply.content === '' && reply.toolCalls.length > 0 ? null : reply.content,
    refusal: null,
    ...(reply.thinking !== '' && { reasoning_content: reply.thinking }),
    ...(reply.toolCalls.length > 0 && { tool_calls: reply.toolCalls.map(wireCall) }),
  };
  return JSON.stringify({
    id: head.id,
    object: 'chat.completion',
    created: head.created,
    model: head.model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: reply.finishReason }],
    usage: usage(reply),
  });
}

export function chatErrorJson(refusal: Refusal): string {
  return JSON.stringify(errorValue(refusal));
}

export function modelListJson(model: string, created: number): string {
  return JSON.stringify({ object: 'list', data: [{ id: model, object: 'model', created, owned_by: 'espalier' }] });
}

/** Server-sent events of one reply, in the order begin, text*, end; or begin, text*, failure. */
export class ChatStream {
  readonly #head: ReplyHead;
  #content = '';

  constructor(head: ReplyHead) {
    this.#head = head;
  }

  begin(): string {
    return this.#chunk({ role: 'assistant', content: '' }, null);
  }

  /** A piece of the content, as it grows. */
  text(piece: string): string {
    this.#content += piece;
    return this.#chunk({ content: piece }, null);
  }

  /** What text() has not given yet, the calls, the reason, the counts. */
  end(reply: ChatReply, includeUsage: boolean): string {
    let events = '';
    if (reply.thinking !== '') events += this.#chunk({ reasoning_content: reply.thinking }, null);
    const rest = reply.content.slice(this.#content.length);
    if (rest !== '') events += this.#chunk({ content: rest }, null);
    if (reply.toolCalls.length > 0) {
      const calls = reply.toolCalls.map((call, index) => ({ index, ...wireCall(call) }));
      events += this.#chunk({ tool_calls: calls }, null);
    }
    events += this.#chunk({}, reply.finishReason);
    if (includeUsage) events += sseEvent({ ...this.#frame(), choices: [], usage: usage(reply) });
    return events + sseDone;
  }

  /** The error event; whoever sends it must then break the connection, so that no client takes it for an end. */
  failure(refusal: Refusal): string {
    return sseEvent(errorValue(refusal));
  }

  #chunk(delta: Readonly<Record<string, unknown>>, finishReason: FinishReason | null): string {
    const choices = [{ index: 0, delta, logprobs: null, finish_reason: finishReason }];
    return sseEvent({ ...this.#frame(), choices });
  }

  #frame(): Readonly<Record<string, unknown>> {
    return { id: this.#head.id, object: 'chat.completion.chunk', created: this.#head.created, model: this.#head.model };
  }
}

function wireCall(call: ToolCall): Readonly<Record<string, unknown>> {
  return { id: call.id, type: 'function', function: { name: call.name, arguments: call.arguments } };
}

function usage(reply: ChatReply): Readonly<Record<string, number>> {
  const { promptTokens, completionTokens } = reply;
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}

function errorValue({ message, type, param, code }: Refusal): Readonly<Record<string, unknown>> {
  return { error: { message, type, param, code } };
}
