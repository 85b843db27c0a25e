/**
 * The dialect of `POST /v1/responses`: a completion to a response object.
 *
 * Events are in responses-stream.ts.
 *
 * Invariants:
 * 1. Output items come in the order reasoning, message, calls. There is a message unless there is a call, so every reply
 *    has an item that agents send back.
 * 2. Items are numbered under their reply: ids are fresh, and tell which reply they are from (`replyIdOf`).
 */
import type { ToolCall } from '../core/message.ts';
import type { Completion, ReplyHead } from './dialect.ts';
import type { Refusal } from './refusal.ts';
import { callItem, type OfferedTools } from './responses-tools.ts';

type Value = Readonly<Record<string, unknown>>;
export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

export const responseId = (head: ReplyHead): string => `resp_${head.id}`;
export const itemIds = {
  reasoning: (head: ReplyHead): string => `rs_${head.id}`,
  message: (head: ReplyHead): string => `msg_${head.id}`,
  call: (head: ReplyHead, kind: string, place: number): string =>
    `${kind === 'custom_tool_call' ? 'ctc' : 'fc'}_${head.id}_${place}`,
};

/** What a response says about the request: as it was given, or the default. */
export function echoOf(body: Value): Value {
  const given = (name: string, otherwise: unknown): unknown => body[name] ?? otherwise;
  return {
    background: false,
    instructions: given('instructions', null),
    max_output_tokens: given('max_output_tokens', null),
    max_tool_calls: given('max_tool_calls', null),
    parallel_tool_calls: given('parallel_tool_calls', true),
    previous_response_id: given('previous_response_id', null),
    prompt_cache_key: given('prompt_cache_key', null),
    reasoning: { effort: null, summary: null, ...(given('reasoning', {}) as Value) },
    safety_identifier: given('safety_identifier', null),
    service_tier: 'default',
    store: given('store', true),
    // The session's sampling is not the agent's business.
    temperature: null,
    text: { format: { type: 'text' }, ...(given('text', {}) as Value) },
    tool_choice: given('tool_choice', 'auto'),
    tools: given('tools', []),
    top_logprobs: 0,
    top_p: null,
    truncation: 'disabled',
    user: given('user', null),
    metadata: given('metadata', {}),
  };
}

/** Where a reply stands. */
export type Standing =
  | { readonly status: 'in_progress' }
  | { readonly status: 'ended'; readonly completion: Completion; readonly output: readonly Value[] }
  | { readonly status: 'failed'; readonly refusal: Refusal };

export function responseValue(head: ReplyHead, echo: Value, standing: Standing): Value {
  const isCut = standing.status === 'ended' && standing.completion.finishReason === 'length';
  return {
    id: responseId(head),
    object: 'response',
    created_at: head.created,
    status: standing.status === 'ended' ? (isCut ? 'incomplete' : 'completed') : standing.status,
    error: standing.status === 'failed' ? failureValue(standing.refusal) : null,
    incomplete_details: isCut ? { reason: 'max_output_tokens' } : null,
    model: head.model,
    output: standing.status === 'ended' ? standing.output : [],
    usage: standing.status === 'ended' ? usageValue(standing.completion) : null,
    ...echo,
  };
}

export function responseJson(head: ReplyHead, echo: Value, names: OfferedTools['names'], reply: Completion): string {
  const output = outputItems(head, names, reply);
  return JSON.stringify(responseValue(head, echo, { status: 'ended', completion: reply, output }));
}

export function outputItems(head: ReplyHead, names: OfferedTools['names'], reply: Completion): Value[] {
  const { thinking, content, toolCalls } = reply;
  const hasMessage = content !== '' || toolCalls.length === 0;
  // What a limit cut off is the last item.
  const status = (isLast: boolean): ItemStatus =>
    isLast && reply.finishReason === 'length' ? 'incomplete' : 'completed';
  return [
    ...(thinking === '' ? [] : [reasoningItem(head, thinking)]),
    ...(hasMessage ? [messageItem(head, content, status(toolCalls.length === 0))] : []),
    ...toolCalls.map((call, place) => callItemValue(head, names, call, place, status(place === toolCalls.length - 1))),
  ];
}

export const summaryPart = (text: string): Value => ({ type: 'summary_text', text });
export const textPart = (text: string): Value => ({ type: 'output_text', text, annotations: [], logprobs: [] });

export function reasoningItem(head: ReplyHead, thinking: string | null): Value {
  return {
    id: itemIds.reasoning(head),
    type: 'reasoning',
    summary: thinking === null ? [] : [summaryPart(thinking)],
    encrypted_content: null,
  };
}

export function messageItem(head: ReplyHead, text: string | null, status: ItemStatus): Value {
  const content = text === null ? [] : [textPart(text)];
  return { id: itemIds.message(head), type: 'message', status, role: 'assistant', content };
}

export function callItemValue(
  head: ReplyHead,
  names: OfferedTools['names'],
  call: ToolCall,
  place: number,
  status: ItemStatus,
): Value {
  const item = callItem(call, names);
  return { id: itemIds.call(head, item.type, place), ...item, status };
}

function usageValue({ promptTokens, completionTokens }: Completion): Value {
  return {
    input_tokens: promptTokens,
    // Clients demand numbers; neither is known here.
    input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: promptTokens + completionTokens,
  };
}

/** Codex goes by the code: a request at fault is not sent again, a server at fault is asked again. */
function failureValue({ status, code, message }: Refusal): Value {
  return { code: status >= 500 ? 'server_error' : (code ?? 'invalid_prompt'), message };
}
