/** `/messages`, as it passes by. */
import type { Message, ToolCall } from '../../../core/message.ts';
import type { FinishReason } from '../../../core/turn.ts';
import type { RelayFormat } from '../format.ts';
import { argumentsOf, contentOf, countOf, type Fields, fieldsOf, jsonOf, listOf, textOf, without } from '../lenient.ts';

export const messages: RelayFormat = {
  request: (body) => ({
    model: textOf(body['model']),
    messages: [...systemOf(body['system']), ...listOf(body['messages']).flatMap((each) => messagesOf(fieldsOf(each)))],
    tools: listOf(body['tools']).map((each) => {
      const { name, type, description, input_schema } = fieldsOf(each);
      return {
        name: textOf(name) || textOf(type),
        description: textOf(description),
        parameters: fieldsOf(input_schema),
      };
    }),
    settings: without(body, ['model', 'system', 'messages', 'tools', 'stream']),
  }),
  reply: (body) => {
    if (!Array.isArray(body['content'])) return null;
    const blocks = body['content'].map(fieldsOf);
    const toolCalls = blocks.flatMap(callOf);
    return [
      {
        model: textOf(body['model']),
        thinking: textsOf(blocks, 'thinking'),
        content: textsOf(blocks, 'text'),
        toolCalls,
        finishReason: finishOf(body['stop_reason'], toolCalls.length),
        usage: usageOf(fieldsOf(body['usage'])),
        tokens: null,
      },
    ];
  },
  joined: joinEvents,
};

/** A nonce of Claude Code's stands first in its system prompt: it would make each conversation another one. */
const billing = 'x-anthropic-billing-header';

function systemOf(system: unknown): Message[] {
  const blocks = typeof system === 'string' ? [{ type: 'text', text: system }] : listOf(system).map(fieldsOf);
  const kept = blocks.filter(({ text }) => !textOf(text).startsWith(billing));
  return kept.length === 0 ? [] : [{ role: 'system', content: contentOf(kept) }];
}

/** One message may answer several calls, which are messages of their own here, and go on with text. */
function messagesOf(message: Fields): Message[] {
  const { content } = message;
  const blocks = typeof content === 'string' ? [{ type: 'text', text: content }] : listOf(content).map(fieldsOf);
  if (message['role'] === 'assistant') {
    return [{ role: 'assistant', content: textsOf(blocks, 'text'), toolCalls: blocks.flatMap(callOf) }];
  }
  const isResult = (block: Fields): boolean => textOf(block['type']).endsWith('tool_result');
  const results = blocks.filter(isResult).map(
    (block): Message => ({
      role: 'tool',
      toolCallId: textOf(block['tool_use_id']),
      content: contentOf(block['content']),
    }),
  );
  const said = blocks.filter((block) => !isResult(block));
  const role = message['role'] === 'system' ? 'system' : 'user';
  return [...results, ...(said.length > 0 ? [{ role, content: contentOf(said) } as const] : [])];
}

function textsOf(blocks: readonly Fields[], type: 'text' | 'thinking'): string {
  return blocks
    .filter((block) => block['type'] === type)
    .map((block) => textOf(block[type]))
    .join('\n');
}

function callOf(block: Fields): ToolCall[] {
  const { type, id, name, input } = block;
  if (!textOf(type).endsWith('tool_use')) return [];
  return [{ id: textOf(id), name: textOf(name), arguments: argumentsOf(input) }];
}

function finishOf(reason: unknown, callCount: number): FinishReason {
  if (reason === 'max_tokens' || reason === 'model_context_window_exceeded') return 'length';
  return callCount > 0 ? 'tool_calls' : 'stop';
}

function usageOf(usage: Fields) {
  const completionTokens = countOf(usage['output_tokens']);
  const uncached = countOf(usage['input_tokens']);
  if (completionTokens === null || uncached === null) return null;
  const cached =
    (countOf(usage['cache_creation_input_tokens']) ?? 0) + (countOf(usage['cache_read_input_tokens']) ?? 0);
  return { promptTokens: uncached + cached, completionTokens };
}

function joinEvents(events: readonly Fields[]): Fields | null {
  let message: Fields = {};
  const blocks = new Map<number, Record<string, unknown>>();
  let usage: Fields = {};
  let isWhole = false;
  for (const event of events) {
    const at = countOf(event['index']) ?? 0;
    switch (event['type']) {
      case 'message_start':
        message = fieldsOf(event['message']);
        usage = fieldsOf(message['usage']);
        break;
      case 'content_block_start':
        blocks.set(at, { ...fieldsOf(event['content_block']) });
        break;
      case 'content_block_delta':
        joinDelta(blocks.get(at) ?? {}, fieldsOf(event['delta']));
        break;
      case 'message_delta':
        message = { ...message, ...fieldsOf(event['delta']) };
        usage = { ...usage, ...fieldsOf(event['usage']) };
        break;
      case 'message_stop':
        isWhole = true;
        break;
      case 'error':
        return null;
    }
  }
  if (!isWhole) return null;
  const content = [...blocks.entries()].sort(([a], [b]) => a - b).map(([, block]) => whole(block));
  return { ...message, content, usage };
}

function joinDelta(block: Record<string, unknown>, delta: Fields): void {
  for (const name of ['text', 'thinking', 'partial_json']) {
    const piece = delta[name];
    if (typeof piece === 'string') block[name] = textOf(block[name]) + piece;
  }
}

function whole(block: Fields): Fields {
  const { partial_json: pieces, ...rest } = block;
  return typeof pieces === 'string' && pieces !== '' ? { ...rest, input: jsonOf(pieces) ?? pieces } : rest;
}
