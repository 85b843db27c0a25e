/**
 * The dialect of `POST /v1/messages` and `POST /v1/messages/count_tokens`: request JSON to messages.
 *
 * The conversation is in messages-content.ts, the table of parameters in messages-parameters.ts, replies in
 * messages-reply.ts. Headers of this API (`anthropic-version`, `anthropic-beta`) change nothing.
 */
import type { Message } from '../core/message.ts';
import type { ToolDefinition } from '../core/tool.ts';
import type { CompletionRequest, Dialect } from './dialect.ts';
import {
  invalid,
  type JsonObject,
  listAt,
  objectAt,
  shownKind,
  stopStringsAt,
  textAt,
  wholeAt,
} from './json-reader.ts';
import { attribution, conversation, systemText, type Tools } from './messages-content.ts';
import { messagesParameters, messagesRefusals } from './messages-parameters.ts';
import { MessagesStream, messagesErrorJson, messagesReplyJson, tokenCountJson } from './messages-reply.ts';
import { readParameters } from './parameters.ts';
import { samplingAt } from './sampling-wish.ts';

export const messagesDialect: Dialect = {
  path: '/messages',
  parse: (json) => ({
    request: parseMessagesRequest(json),
    json: messagesReplyJson,
    stream: (head) => new MessagesStream(head),
  }),
  error: messagesErrorJson,
};

export const countTokensDialect: Dialect = {
  path: '/messages/count_tokens',
  parse: (json) => ({
    request: parseCountRequest(json),
    json: messagesReplyJson,
    stream: (head) => new MessagesStream(head),
    count: tokenCountJson,
  }),
  error: messagesErrorJson,
};

/** Throws Refusal. */
export function parseMessagesRequest(json: unknown): CompletionRequest {
  const request = parseRequest(json);
  if (request.maxTokens === null) throw invalid('max_tokens', 'max_tokens: Field required');
  return request;
}

/** What is asked of `count_tokens`: the same without `max_tokens`. Throws Refusal. */
export function parseCountRequest(json: unknown): CompletionRequest {
  return parseRequest(json);
}

function parseRequest(json: unknown): CompletionRequest {
  const body = objectAt(json, 'body') as JsonObject & {
    readonly model?: unknown;
    readonly messages?: unknown;
    readonly system?: unknown;
    readonly tools?: unknown;
    readonly tool_choice?: { readonly type?: unknown } | null;
    readonly max_tokens?: unknown;
    readonly stream?: unknown;
    readonly stop_sequences?: unknown;
  };
  const wishes = readParameters(body, messagesParameters, messagesRefusals);
  const stop = stopStringsAt(body.stop_sequences, 'stop_sequences', 8192);
  const tools = toolsIn(body.tools);
  const system = systemText(body.system);
  if (body.messages === undefined) throw invalid('messages', 'messages: Field required');
  const said = conversation(body.messages, tools);
  const instructions: Message[] = system.text === '' ? [] : [{ role: 'system', content: system.text }];
  return {
    model: textAt(body.model, 'model'),
    messages: [...instructions, ...said],
    tools: body.tool_choice?.type === 'none' ? [] : tools.offered,
    stream: body.stream === true,
    maxTokens: wholeAt(body.max_tokens, 'max_tokens', 1),
    stop,
    sampling: samplingAt(body),
    wishes: {
      ...wishes,
      // The session may set a smaller one.
      ...((body.max_tokens ?? null) !== null && { max_tokens: body.max_tokens }),
      ...(stop.length > 0 && { stop_sequences: stop }),
      ...(system.attributions.length > 0 && { [attribution]: system.attributions }),
    },
  };
}

/** A tool with `defer_loading` is shown where a `tool_reference` names it, so that one found later alters no prefix. */
function toolsIn(value: unknown): Tools {
  if (value === undefined || value === null) return { offered: [], byName: new Map() };
  const tools = listAt(value, 'tools').map((tool, i) => {
    const at = `tools.${i}`;
    const given = objectAt(tool, at) as {
      readonly type?: unknown;
      readonly name?: unknown;
      readonly description?: unknown;
      readonly input_schema?: unknown;
      readonly defer_loading?: unknown;
    };
    if (given.type !== undefined && given.type !== null && given.type !== 'custom') {
      throw invalid(
        `${at}.type`,
        `${at}.type: '${shownKind(given.type)}' is not supported: only tools of type 'custom', with an input_schema`,
      );
    }
    const definition: ToolDefinition = {
      name: textAt(given.name, `${at}.name`),
      description: textAt(given.description ?? '', `${at}.description`),
      parameters: objectAt(given.input_schema, `${at}.input_schema`),
    };
    return { definition, deferred: given.defer_loading === true };
  });
  return {
    offered: tools.filter(({ deferred }) => !deferred).map(({ definition }) => definition),
    byName: new Map(tools.map(({ definition }) => [definition.name, definition])),
  };
}
