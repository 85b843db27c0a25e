/**
 * The dialect of `POST /v1/chat/completions`: request JSON to messages.
 *
 * The table of parameters is in chat-parameters.ts, replies in chat-reply.ts. Wishes about sampling are kept as facts; the
 * session says whether they are honored.
 *
 * Invariants:
 * 1. What cannot be done is refused with 400 and the field's name; nothing that changes an answer is ignored.
 * 2. Text in an array of parts equals the same text in a string.
 */
import type { Message, ToolCall } from '../core/message.ts';
import type { ToolDefinition } from '../core/tool.ts';
import { chatParameters, chatRefusals } from './chat-parameters.ts';
import { ChatStream, chatErrorJson, chatReplyJson } from './chat-reply.ts';
import type { CompletionRequest, Dialect } from './dialect.ts';
import {
  invalid,
  type JsonObject,
  listAt,
  missing,
  objectAt,
  shownKind,
  stopStringsAt,
  textAt,
  wholeAt,
} from './json-reader.ts';
import { readParameters } from './parameters.ts';
import { samplingAt } from './sampling-wish.ts';

export const chatCompletions: Dialect = {
  path: '/chat/completions',
  parse: (json) => {
    const request = parseChatRequest(json);
    return {
      request,
      json: chatReplyJson,
      stream: (head) => new ChatStream(head, request.includeUsage),
    };
  },
  error: chatErrorJson,
};

export interface ChatRequest extends CompletionRequest {
  /** Send token counts in a last chunk. */
  readonly includeUsage: boolean;
}

/** Throws Refusal. */
export function parseChatRequest(json: unknown): ChatRequest {
  const body = objectAt(json, 'body') as JsonObject & {
    readonly model?: unknown;
    readonly messages?: unknown;
    readonly tools?: unknown;
    readonly tool_choice?: unknown;
    readonly stream?: unknown;
    readonly stream_options?: { readonly include_usage?: unknown } | null;
    readonly stop?: unknown;
    readonly max_tokens?: unknown;
    readonly max_completion_tokens?: unknown;
  };
  const wishes = readParameters(body, chatParameters, chatRefusals);
  if (body.messages === undefined) throw missing('messages');
  const messages = listAt(body.messages, 'messages').map(message);
  if (messages.length === 0) throw invalid('messages', `Invalid 'messages': empty array.`, 'empty_array');
  const limits = [
    wholeAt(body.max_tokens, 'max_tokens', 1),
    wholeAt(body.max_completion_tokens, 'max_completion_tokens', 1),
  ];
  const stop = stopStringsAt(typeof body.stop === 'string' ? [body.stop] : body.stop, 'stop', 4);
  const given = limits.filter((limit) => limit !== null);
  return {
    model: textAt(body.model, 'model'),
    messages,
    tools: body.tool_choice === 'none' ? [] : tools(body.tools),
    stream: body.stream === true,
    includeUsage: body.stream_options?.include_usage === true,
    // The smaller of `max_tokens` and `max_completion_tokens`.
    maxTokens: given.length === 0 ? null : Math.min(...given),
    stop,
    sampling: samplingAt(body),
    wishes: {
      ...wishes,
      // The session may have set a smaller one.
      ...((body.max_tokens ?? null) !== null && { max_tokens: body.max_tokens }),
      ...((body.max_completion_tokens ?? null) !== null && { max_completion_tokens: body.max_completion_tokens }),
      ...(stop.length > 0 && { stop }),
    },
  };
}

function message(value: unknown, index: number): Message {
  const at = `messages[${index}]`;
  const given = objectAt(value, at) as JsonObject & {
    readonly role?: unknown;
    readonly content?: unknown;
    readonly tool_calls?: unknown;
    readonly tool_call_id?: unknown;
  };
  const role = textAt(given.role, `${at}.role`);
  switch (role) {
    case 'system':
    case 'developer':
      return { role: 'system', content: requiredContent(given.content, at) };
    case 'user':
      return { role: 'user', content: requiredContent(given.content, at) };
    case 'assistant':
      return {
        role: 'assistant',
        content: content(given.content, at) ?? '',
        toolCalls: toolCalls(given.tool_calls, at),
      };
    case 'tool':
      return {
        role: 'tool',
        toolCallId: textAt(given.tool_call_id, `${at}.tool_call_id`),
        content: requiredContent(given.content, at),
      };
    default:
      throw invalid(
        `${at}.role`,
        `Invalid value: '${role}'. Supported values are: 'system', 'developer', 'assistant', 'user', and 'tool'.`,
        'invalid_value',
      );
  }
}

function requiredContent(value: unknown, at: string): string {
  const text = content(value, at);
  if (text === null)
    throw invalid(`${at}.content`, `Invalid value for '${at}.content': expected a string.`, 'invalid_type');
  return text;
}

function content(value: unknown, at: string): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return value;
  const parts = listAt(value, `${at}.content`).map((part, i) => {
    const where = `${at}.content[${i}]`;
    const given = objectAt(part, where) as {
      readonly type?: unknown;
      readonly text?: unknown;
      readonly refusal?: unknown;
    };
    if (given.type === 'refusal') return textAt(given.refusal, `${where}.refusal`);
    if (given.type !== 'text') {
      throw invalid(
        `${where}.type`,
        `Invalid value: '${shownKind(given.type)}'. Supported values are: 'text'.`,
        'invalid_value',
      );
    }
    return textAt(given.text, `${where}.text`);
  });
  return parts.join('\n');
}

function toolCalls(value: unknown, at: string): ToolCall[] {
  if (value === undefined || value === null) return [];
  return listAt(value, `${at}.tool_calls`).map((call, i) => {
    const where = `${at}.tool_calls[${i}]`;
    const given = objectAt(call, where) as { readonly id?: unknown; readonly function?: unknown };
    const fn = objectAt(given.function, `${where}.function`) as {
      readonly name?: unknown;
      readonly arguments?: unknown;
    };
    return {
      id: textAt(given.id, `${where}.id`),
      name: textAt(fn.name, `${where}.function.name`),
      arguments: textAt(fn.arguments ?? '{}', `${where}.function.arguments`),
    };
  });
}

function tools(value: unknown): ToolDefinition[] {
  if (value === undefined || value === null) return [];
  return listAt(value, 'tools').map((tool, i) => {
    const at = `tools[${i}]`;
    const given = objectAt(tool, at) as { readonly type?: unknown; readonly function?: unknown };
    if (given.type !== 'function') {
      throw invalid(
        `${at}.type`,
        `Invalid value: '${shownKind(given.type)}'. Supported values are: 'function'.`,
        'invalid_value',
      );
    }
    const fn = objectAt(given.function, `${at}.function`) as {
      readonly name?: unknown;
      readonly description?: unknown;
      readonly parameters?: unknown;
    };
    return {
      name: textAt(fn.name, `${at}.function.name`),
      description: textAt(fn.description ?? '', `${at}.function.description`),
      parameters: objectAt(fn.parameters ?? { type: 'object', properties: {} }, `${at}.function.parameters`),
    };
  });
}
