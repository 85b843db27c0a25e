/**
 * The conversation of the messages dialect: system, messages and their blocks.
 *
 * Invariants:
 * 1. A string equals one text block; several text blocks are joined by line breaks. `cache_control` and other fields of
 *    a block that say nothing to a model are dropped.
 * 2. Neighbors of one role are one message, as in the real API: where an agent cuts does not count.
 * 3. Thinking that comes back is not rendered again: the recorded ids of its turn hold it.
 * 4. What a model cannot be shown is refused with the path of the block.
 */
import type { Message, ToolCall } from '../core/message.ts';
import type { ToolDefinition } from '../core/tool.ts';
import { invalid, type JsonObject, listAt, objectAt, textAt } from './json-reader.ts';
import { argumentsOf } from './messages-arguments.ts';
import type { Refusal } from './refusal.ts';

/** Tools that are offered from the start, and all that a `tool_reference` may name. */
export interface Tools {
  readonly offered: readonly ToolDefinition[];
  readonly byName: ReadonlyMap<string, ToolDefinition>;
}

/** Claude Code's first system block: a checksum that changes with the conversation and means nothing to a model. */
export const attribution = 'x-anthropic-billing-header';
/** What Claude Code sends back in place of a reply without content. */
const nothingSaid = '(no content)';

interface Block {
  readonly type?: unknown;
  readonly text?: unknown;
  readonly thinking?: unknown;
  readonly data?: unknown;
  readonly id?: unknown;
  readonly name?: unknown;
  readonly input?: unknown;
  readonly tool_use_id?: unknown;
  readonly tool_name?: unknown;
  readonly content?: unknown;
  readonly is_error?: unknown;
}

/** The text of `system`, '' when there is none, and the attribution lines that were taken out of it. */
export function systemText(value: unknown): { readonly text: string; readonly attributions: readonly string[] } {
  if (value === undefined || value === null) return { text: '', attributions: [] };
  const texts = blocksOf(value, 'system').map((block, i) => {
    if (block.type !== 'text') throw notAllowed(block, `system.${i}`);
    return textAt(block.text, `system.${i}.text`);
  });
  const attributions: string[] = [];
  const kept = texts.map((text) => {
    if (!text.startsWith(`${attribution}:`)) return text;
    const end = text.indexOf('\n');
    attributions.push(end < 0 ? text : text.slice(0, end));
    return end < 0 ? '' : text.slice(end + 1);
  });
  return { text: joinTexts(kept), attributions };
}

/** Throws Refusal. */
export function conversation(value: unknown, tools: Tools): Message[] {
  const given = listAt(value, 'messages');
  if (given.length === 0) throw invalid('messages', 'messages: at least one message is required');
  const messages = merged(given.flatMap((message, i) => messagesIn(message, `messages.${i}`, tools)));
  if (messages.at(-1)?.role === 'assistant') {
    throw invalid(
      'messages',
      'messages: This model does not support assistant message prefill. The conversation must end with a user message.',
    );
  }
  return messages;
}

function messagesIn(value: unknown, at: string, tools: Tools): Message[] {
  const { role, content } = objectAt(value, at) as { readonly role?: unknown; readonly content?: unknown };
  const blocks = blocksOf(content, `${at}.content`);
  switch (textAt(role, `${at}.role`)) {
    case 'user':
      return userMessages(blocks, `${at}.content`, tools);
    case 'assistant':
      return [assistantMessage(blocks, `${at}.content`)];
    case 'system':
      return [systemNote(blocks, `${at}.content`)];
    default:
      throw invalid(`${at}.role`, `${at}.role: Input should be 'user', 'assistant' or 'system'`);
  }
}

function userMessages(blocks: readonly Block[], at: string, tools: Tools): Message[] {
  if (blocks.length === 0) return [{ role: 'user', content: '' }];
  return blocks.map((block, i) => {
    const where = `${at}.${i}`;
    switch (block.type) {
      case 'text':
        return { role: 'user', content: textAt(block.text, `${where}.text`) };
      case 'tool_result':
        return {
          role: 'tool',
          toolCallId: textAt(block.tool_use_id, `${where}.tool_use_id`),
          content: toolResult(block, where, tools),
        };
      default:
        throw notAllowed(block, where);
    }
  });
}

/** Chat templates have no flag for a failed tool, so its text must say it. */
function toolResult(block: Block, at: string, tools: Tools): string {
  const parts = block.content === undefined || block.content === null ? [] : blocksOf(block.content, `${at}.content`);
  const text = joinTexts(parts.map((part, i) => toolResultText(part, `${at}.content.${i}`, tools)));
  const saysSo = /^\s*(?:<tool_use_error>|error\b)/i.test(text);
  return block.is_error === true && !saysSo ? `error: ${text}` : text;
}

function toolResultText(part: Block, at: string, tools: Tools): string {
  if (part.type === 'text') return textAt(part.text, `${at}.text`);
  if (part.type !== 'tool_reference') throw notAllowed(part, at);
  const name = textAt(part.tool_name, `${at}.tool_name`);
  const tool = tools.byName.get(name);
  if (tool === undefined) throw invalid(at, `${at}: Tool reference '${name}' not found in available tools`);
  return JSON.stringify(tool);
}

function assistantMessage(blocks: readonly Block[], at: string): Message {
  const texts: string[] = [];
  const toolCalls: ToolCall[] = [];
  for (const [i, block] of blocks.entries()) {
    const where = `${at}.${i}`;
    switch (block.type) {
      case 'text':
        texts.push(textAt(block.text, `${where}.text`));
        break;
      case 'thinking':
        textAt(block.thinking, `${where}.thinking`);
        break;
      case 'redacted_thinking':
        textAt(block.data, `${where}.data`);
        break;
      case 'tool_use':
        toolCalls.push({
          id: textAt(block.id, `${where}.id`),
          name: textAt(block.name, `${where}.name`),
          arguments: argumentsOf(objectAt(block.input, `${where}.input`)),
        });
        break;
      default:
        throw notAllowed(block, where);
    }
  }
  const content = joinTexts(texts);
  return { role: 'assistant', content: content === nothingSaid ? '' : content, toolCalls };
}

/** Claude Code puts notes of the system between messages, where most chat templates allow none. */
function systemNote(blocks: readonly Block[], at: string): Message {
  const text = joinTexts(
    blocks.map((block, i) => {
      if (block.type !== 'text') throw notAllowed(block, `${at}.${i}`);
      return textAt(block.text, `${at}.${i}.text`);
    }),
  );
  return { role: 'user', content: `<system-reminder>\n${text}\n</system-reminder>` };
}

/** Neighbors are gathered first and joined once: a body may hold a million of them. */
function merged(messages: readonly Message[]): Message[] {
  const result: Message[] = [];
  for (let from = 0, to = 0; from < messages.length; from = to) {
    const { role } = messages[from] as Message;
    for (to = from + 1; role !== 'tool' && messages[to]?.role === role; to++);
    result.push(to - from === 1 ? (messages[from] as Message) : joined(messages.slice(from, to)));
  }
  return result;
}

/** Messages of one role, which is not tool's. */
function joined(messages: readonly Message[]): Message {
  const content = joinTexts(messages.map((message) => message.content));
  const [first] = messages;
  if (first?.role !== 'assistant') return { ...(first as Message), content };
  const toolCalls = messages.flatMap((message) => (message.role === 'assistant' ? message.toolCalls : []));
  return { role: 'assistant', content, toolCalls };
}

const joinTexts = (texts: readonly string[]): string => texts.filter((text) => text !== '').join('\n');

function blocksOf(value: unknown, at: string): Block[] {
  if (typeof value === 'string') return value === '' ? [] : [{ type: 'text', text: value }];
  if (value === undefined) throw invalid(at, `${at}: Field required`);
  return listAt(value, at).map((block, i) => objectAt(block, `${at}.${i}`) as JsonObject & Block);
}

function notAllowed(block: Block, at: string): Refusal {
  const type = typeof block.type === 'string' ? block.type : '';
  if (type === 'image' || type === 'document') {
    return invalid(at, `${at}: this model reads text only: a block of type '${type}' is not supported`);
  }
  return invalid(`${at}.type`, `${at}.type: a block of type '${type}' is not supported here`);
}
