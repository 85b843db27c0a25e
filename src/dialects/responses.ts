/**
 * The dialect of `POST /v1/responses`: request JSON to messages, and what later requests may refer to.
 *
 * Parameters are in responses-parameters.ts, items in responses-input.ts, tools in responses-tools.ts, replies in
 * responses-reply.ts and responses-stream.ts.
 *
 * Invariants:
 * 1. What cannot be done is refused with 400 and the field's name; nothing that changes an answer is ignored.
 * 2. A request that refers to an earlier reply is the request that repeats it in full.
 */
import type { Message } from '../core/message.ts';
import { chatErrorJson } from './chat-reply.ts';
import type { Completion, CompletionRequest, Dialect, KeptReply, ReplyHead, ReplyMemory } from './dialect.ts';
import { invalid, listAt, missing, objectAt, textAt, wholeAt } from './json-reader.ts';
import { readParameters } from './parameters.ts';
import { Refusal } from './refusal.ts';
import { readInput } from './responses-input.ts';
import { keepReply } from './responses-memory.ts';
import { responsesParameters, responsesRefusals } from './responses-parameters.ts';
import { echoOf, responseJson } from './responses-reply.ts';
import { ResponsesStream } from './responses-stream.ts';
import { type OfferedTools, toolsOf } from './responses-tools.ts';
import { samplingAt } from './sampling-wish.ts';

export const responses: Dialect = {
  path: '/responses',
  parse: (json, memory = new Map()) => {
    const asked = parseResponsesRequest(json, memory);
    const keep = (head: ReplyHead, completion: Completion): void => {
      if (asked.keeps) keepReply(memory, head.id, asked.conversation, completion);
    };
    return {
      request: asked.request,
      json: (head, completion) => {
        keep(head, completion);
        return responseJson(head, asked.echo, asked.names, completion);
      },
      stream: (head) => new ResponsesStream(head, asked.echo, asked.names, (completion) => keep(head, completion)),
    };
  },
  // The conversation is called `input` here.
  error: (refusal) => chatErrorJson(refusal.param === 'messages' ? inputAtFault(refusal) : refusal),
};

export interface ResponsesRequest {
  readonly request: CompletionRequest;
  /** The messages without `instructions`, which go with one request only. */
  readonly conversation: readonly Message[];
  readonly names: OfferedTools['names'];
  readonly echo: Readonly<Record<string, unknown>>;
  /** Whether later requests may refer to the reply. */
  readonly keeps: boolean;
}

/** Throws Refusal. */
export function parseResponsesRequest(json: unknown, memory: ReplyMemory): ResponsesRequest {
  const body = objectAt(json, 'body');
  const wishes = readParameters(body, responsesParameters, responsesRefusals);
  const before = previousOf(body['previous_response_id'], memory);
  if (before === null && (body['input'] ?? null) === null) throw missing('input');
  const input = readInput(body['input'], (replyId) => memory.get(replyId));
  const conversation = before === null ? input.messages : [...before, ...input.messages];
  if (conversation.length === 0) throw invalid('input', `Invalid 'input': empty array.`, 'empty_array');
  const instructions = body['instructions'] ?? '';
  const tools = toolsOf([...listAt(body['tools'] ?? [], 'tools'), ...input.tools]);
  return {
    request: {
      model: textAt(body['model'], 'model'),
      messages: shown(instructions === '' ? [] : [textAt(instructions, 'instructions')], conversation),
      tools: body['tool_choice'] === 'none' ? [] : tools.definitions,
      stream: body['stream'] === true,
      maxTokens: wholeAt(body['max_output_tokens'], 'max_output_tokens', 1),
      sampling: samplingAt(body),
      wishes: { ...wishes, ...(tools.hosted.length > 0 && { hosted_tools: tools.hosted }) },
    },
    conversation,
    names: tools.names,
    echo: echoOf(body),
    keeps: body['store'] !== false,
  };
}

/**
 * The conversation in the order that chat templates know: one system message, at the beginning. Notes of the developer
 * that come later are shown as the user's.
 */
function shown(instructions: readonly string[], conversation: readonly Message[]): Message[] {
  const first = conversation.findIndex((message) => message.role !== 'system');
  const lead = conversation.slice(0, first < 0 ? conversation.length : first).map((message) => message.content);
  const system = [...instructions, ...lead].join('\n\n');
  const rest = conversation
    .slice(lead.length)
    .map(
      (message): Message =>
        message.role === 'system'
          ? { role: 'user', content: `<system-reminder>\n${message.content}\n</system-reminder>` }
          : message,
    );
  return [...(system === '' ? [] : [{ role: 'system', content: system } as const]), ...rest];
}

/** Messages up to and with a reply, or null when the request begins anew. */
function previousOf(id: unknown, memory: ReplyMemory): readonly Message[] | null {
  if (id === undefined || id === null) return null;
  const named = textAt(id, 'previous_response_id');
  const kept: KeptReply | undefined = memory.get(/^resp_(.+)$/.exec(named)?.[1] ?? '');
  if (kept === undefined) {
    throw invalid(
      'previous_response_id',
      `Previous response with id '${named}' not found. Replies asked with 'store: false', and those before the session was opened, are not kept.`,
      'previous_response_not_found',
    );
  }
  const { content, toolCalls } = kept.completion;
  return [...kept.messages, { role: 'assistant', content, toolCalls }];
}

function inputAtFault({ status, message, type, code, cause }: Refusal): Refusal {
  return new Refusal(status, message, { type, param: 'input', ...(code !== null && { code }), cause });
}
