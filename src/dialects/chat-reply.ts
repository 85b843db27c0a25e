/**
 * The dialect of `POST /v1/chat/completions`: a completion to JSON or to chunks, and errors.
 *
 * Invariant: the chunk with `finish_reason` and `[DONE]` come last, and only from end().
 */
import type { ToolCall } from '../core/message.ts';
import type { FinishReason } from '../core/turn.ts';
import type { Completion, ReplyHead, ReplyStream } from './dialect.ts';
import type { Refusal } from './refusal.ts';
import { sseDone, sseEvent, sseKeepAlive } from './sse.ts';

export function chatReplyJson(head: ReplyHead, reply: Completion): string {
  const message = {
    role: 'assistant',
    content: reply.content === '' && reply.toolCalls.length > 0 ? null : reply.content,
    refusal: null,
    ...(reply.thinking !== '' && { reasoning_content: reply.thinking }),
    ...(reply.toolCalls.length > 0 && { tool_calls: reply.toolCalls.map(wireCall) }),
  };
  return JSON.stringify({
    id: idOf(head),
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

export class ChatStream implements ReplyStream {
  readonly #head: ReplyHead;
  readonly #includeUsage: boolean;
  #content = '';

  constructor(head: ReplyHead, includeUsage: boolean) {
    this.#head = head;
    this.#includeUsage = includeUsage;
  }

  begin(): string {
    return this.#chunk({ role: 'assistant', content: '' }, null);
  }

  text(piece: string): string {
    this.#content += piece;
    return this.#chunk({ content: piece }, null);
  }

  end(reply: Completion): string {
    let events = '';
    if (reply.thinking !== '') events += this.#chunk({ reasoning_content: reply.thinking }, null);
    const rest = reply.content.slice(this.#content.length);
    if (rest !== '') events += this.#chunk({ content: rest }, null);
    if (reply.toolCalls.length > 0) {
      const calls = reply.toolCalls.map((call, index) => ({ index, ...wireCall(call) }));
      events += this.#chunk({ tool_calls: calls }, null);
    }
    events += this.#chunk({}, reply.finishReason);
    if (this.#includeUsage) events += sseEvent({ ...this.#frame(), choices: [], usage: usage(reply) });
    return events + sseDone;
  }

  /** This API has no event for it: agents give up at one, and try a connection again that broke (qwen-code). */
  failure(refusal: Refusal): string {
    return refusal.status >= 500 ? '' : sseEvent(errorValue(refusal));
  }

  keepAlive(): string {
    return sseKeepAlive;
  }

  #chunk(delta: Readonly<Record<string, unknown>>, finishReason: FinishReason | null): string {
    const choices = [{ index: 0, delta, logprobs: null, finish_reason: finishReason }];
    return sseEvent({ ...this.#frame(), choices });
  }

  #frame(): Readonly<Record<string, unknown>> {
    return {
      id: idOf(this.#head),
      object: 'chat.completion.chunk',
      created: this.#head.created,
      model: this.#head.model,
    };
  }
}

const idOf = (head: ReplyHead): string => `chatcmpl-${head.id}`;

function wireCall(call: ToolCall): Readonly<Record<string, unknown>> {
  return { id: call.id, type: 'function', function: { name: call.name, arguments: call.arguments } };
}

function usage(reply: Completion): Readonly<Record<string, number>> {
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
