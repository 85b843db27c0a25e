/**
 * The dialect of `POST /v1/messages`: a completion to JSON or to events, and errors.
 *
 * Invariants:
 * 1. `message_delta` and `message_stop` come last, and only from end(). What they count replaces `message_start`'s
 *    zeros: a stream begins before its prompt is rendered.
 * 2. Blocks come one after another: thinking, text, calls. A block that would hold white space only is left out, since
 *    this API refuses one that comes back.
 * 3. Every `input` is a JSON object, whatever was sampled (messages-arguments.ts).
 */
import type { ToolCall } from '../core/message.ts';
import type { FinishReason } from '../core/turn.ts';
import type { Completion, ReplyHead, ReplyStream } from './dialect.ts';
import { toolInput } from './messages-arguments.ts';
import type { Refusal } from './refusal.ts';
import { sseEvent } from './sse.ts';

export function messagesReplyJson(head: ReplyHead, reply: Completion): string {
  const content = [
    ...(reply.thinking === '' ? [] : [{ type: 'thinking', thinking: reply.thinking, signature: signatureOf(head) }]),
    ...(reply.content.trim() === '' ? [] : [{ type: 'text', text: reply.content }]),
    ...reply.toolCalls.map((call) => toolUse(call, toolInput(call.arguments))),
  ];
  return JSON.stringify({
    ...envelope(head),
    content,
    ...stopOf(reply),
    usage: usage(reply.promptTokens, reply.completionTokens),
  });
}

export function messagesErrorJson(refusal: Refusal): string {
  return JSON.stringify(errorValue(errorType(refusal.status), refusal.message));
}

export function messagesModelListJson(model: string, created: number): string {
  const createdAt = new Date(created * 1000).toISOString();
  const data = [{ type: 'model', id: model, display_name: model, created_at: createdAt }];
  return JSON.stringify({ data, has_more: false, first_id: model, last_id: model });
}

export function tokenCountJson(inputTokens: number): string {
  return JSON.stringify({ input_tokens: inputTokens });
}

export class MessagesStream implements ReplyStream {
  readonly #head: ReplyHead;
  /** Blocks that have begun. */
  #count = 0;
  #open: 'thinking' | 'text' | null = null;
  #thinking = '';
  #text = '';

  constructor(head: ReplyHead) {
    this.#head = head;
  }

  begin(): string {
    const message = {
      ...envelope(this.#head),
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: usage(0, 0),
    };
    return event({ type: 'message_start', message }) + this.keepAlive();
  }

  thinking(piece: string): string {
    this.#thinking += piece;
    const start = this.#open === 'thinking' ? '' : this.#begin('thinking', { thinking: '', signature: '' });
    return start + this.#delta({ type: 'thinking_delta', thinking: piece });
  }

  text(piece: string): string {
    this.#text += piece;
    if (this.#open === 'text') return this.#delta({ type: 'text_delta', text: piece });
    if (this.#text.trim() === '') return '';
    const start = this.#begin('text', { text: '' });
    return start + this.#delta({ type: 'text_delta', text: this.#text });
  }

  end(reply: Completion): string {
    let events = '';
    const thinking = reply.thinking.slice(this.#thinking.length);
    if (thinking !== '') events += this.thinking(thinking);
    const text = reply.content.slice(this.#text.length);
    if (text !== '') events += this.text(text);
    events += this.#close();
    for (const call of reply.toolCalls) events += this.#call(call);
    const delta = stopOf(reply);
    const counts = usage(reply.promptTokens, reply.completionTokens);
    return events + event({ type: 'message_delta', delta, usage: counts }) + event({ type: 'message_stop' });
  }

  failure(refusal: Refusal): string {
    // A stream has no status any more; this is the type that clients try again after.
    const type = refusal.status >= 500 ? 'overloaded_error' : errorType(refusal.status);
    return event(errorValue(type, refusal.message));
  }

  keepAlive(): string {
    return event({ type: 'ping' });
  }

  #call(call: ToolCall): string {
    const start = this.#start(toolUse(call, {}));
    const input = JSON.stringify(toolInput(call.arguments));
    return start + this.#delta({ type: 'input_json_delta', partial_json: input }) + this.#stop();
  }

  #begin(type: 'thinking' | 'text', empty: Readonly<Record<string, string>>): string {
    const closed = this.#close();
    this.#open = type;
    return closed + this.#start({ type, ...empty });
  }

  #close(): string {
    if (this.#open === null) return '';
    const signed =
      this.#open === 'thinking' ? this.#delta({ type: 'signature_delta', signature: signatureOf(this.#head) }) : '';
    this.#open = null;
    return signed + this.#stop();
  }

  #start(block: Readonly<Record<string, unknown>>): string {
    return event({ type: 'content_block_start', index: this.#count++, content_block: block });
  }

  #delta(delta: Readonly<Record<string, string>>): string {
    return event({ type: 'content_block_delta', index: this.#count - 1, delta });
  }

  #stop(): string {
    return event({ type: 'content_block_stop', index: this.#count - 1 });
  }
}

/** A call that is whole goes before the stop string that came after it. */
function stopOf({ finishReason, stop }: Completion): Readonly<Record<string, unknown>> {
  const isStopped = stop !== null && finishReason === 'stop';
  return {
    stop_reason: isStopped ? 'stop_sequence' : stopReasons[finishReason],
    stop_sequence: isStopped ? stop : null,
  };
}

const stopReasons: Readonly<Record<FinishReason, string>> = {
  stop: 'end_turn',
  length: 'max_tokens',
  tool_calls: 'tool_use',
};

const errorTypes: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
  529: 'overloaded_error',
};

const errorType = (status: number): string =>
  errorTypes[status] ?? (status >= 500 ? 'api_error' : 'invalid_request_error');

const errorValue = (type: string, message: string) => ({ type: 'error', error: { type, message } });

/** Clients of this API go by the event's name. */
const event = (value: { readonly type: string; readonly [field: string]: unknown }): string =>
  `event: ${value.type}\n${sseEvent(value)}`;

const envelope = (head: ReplyHead) => ({
  id: `msg_${head.id}`,
  type: 'message',
  role: 'assistant',
  model: head.model,
});

/** Nobody checks it here, but clients send thinking without a signature back as text. */
const signatureOf = (head: ReplyHead): string => Buffer.from(`espalier ${head.id}`).toString('base64');

const toolUse = (call: ToolCall, input: Readonly<Record<string, unknown>>) => ({
  type: 'tool_use',
  id: `toolu_${call.id}`,
  name: call.name,
  input,
});

const usage = (promptTokens: number, completionTokens: number) => ({
  input_tokens: promptTokens,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  output_tokens: completionTokens,
});
