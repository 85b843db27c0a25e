/**
 * The `input` of the responses dialect: items to messages.
 *
 * One turn of the model is several items here (reasoning, message, calls). They come back one by one and must become one
 * message again, or no recorded prefix would match.
 *
 * Invariants:
 * 1. The items of one reply become one message, also when the calls come back between their answers.
 * 2. Reasoning items are accepted and not rendered: a recorded turn holds its thinking in its ids.
 * 3. What a model without eyes and ears cannot read, and item types that are not known, are refused. Only in what a tool
 *    answers, a note stands in its place: it is the model that called for it, and Codex ends at a refusal.
 */
import type { Message, ToolCall } from '../core/message.ts';
import type { KeptReply } from './dialect.ts';
import { invalid, type JsonObject, listAt, objectAt, shownKind, textAt } from './json-reader.ts';
import { Refusal } from './refusal.ts';
import { callIdOf, callOf } from './responses-tools.ts';

export interface ReadInput {
  readonly messages: readonly Message[];
  /** Tools that items bring (`additional_tools`), as they were given. */
  readonly tools: readonly unknown[];
}

/** `kept` gives the reply that an id was made from. Throws Refusal. */
export function readInput(value: unknown, kept: (replyId: string) => KeptReply | undefined): ReadInput {
  if (value === undefined || value === null) return { messages: [], tools: [] };
  if (typeof value === 'string') return { messages: [{ role: 'user', content: value }], tools: [] };
  const gathered = new Gathered();
  const tools: unknown[] = [];
  for (const [i, given] of listAt(value, 'input').entries()) {
    const at = `input[${i}]`;
    const item = objectAt(given, at);
    const type = item['type'] ?? 'message';
    switch (type) {
      case 'message':
        addMessage(gathered, item, at);
        break;
      case 'function_call':
      case 'custom_tool_call':
        gathered.call(callOf(item, at), replyIdOf(item['id']));
        break;
      case 'function_call_output':
      case 'custom_tool_call_output':
        gathered.other({
          role: 'tool',
          toolCallId: callIdOf(textAt(item['call_id'], `${at}.call_id`)),
          content: textOf(item['output'], `${at}.output`, (kind) => `[${kind}: this model reads text only]`),
        });
        break;
      case 'reasoning':
        break;
      case 'additional_tools':
        for (const tool of listAt(item['tools'], `${at}.tools`)) tools.push(tool);
        break;
      case 'item_reference':
        addReferred(gathered, textAt(item['id'], `${at}.id`), kept);
        break;
      default:
        throw invalid(
          `${at}.type`,
          `Invalid value: '${shownKind(type)}'. Supported values are: 'message', 'function_call', 'function_call_output', 'custom_tool_call', 'custom_tool_call_output', 'reasoning', 'item_reference', and 'additional_tools'.`,
          'invalid_value',
        );
    }
  }
  return { messages: gathered.messages, tools };
}

/** Messages, while the items of a reply are still being put together. */
class Gathered {
  readonly messages: Message[] = [];
  /** Index of the last message that is no answer of a tool, and the turns of its calls. */
  #before = -1;
  #turns = new Set<string>();
  /** Calls of the last message of the assistant, which may still grow. */
  #calls: ToolCall[] = [];
  /** The reply that the last message, an assistant's, is from; null when its items had no id of ours. */
  #replyId: string | null = null;

  /** Text of the assistant: always begins a message. */
  said(content: string, replyId: string | null): void {
    this.#begin(content, replyId);
  }

  call(call: ToolCall, replyId: string | null): void {
    const at = this.#messageOf(call, replyId);
    const message = this.messages[at];
    if (message?.role === 'assistant') this.#replyId ??= replyId;
    else this.#begin('', replyId);
    this.#calls.push(call);
    const turn = turnOf(call);
    if (turn !== null) this.#turns.add(turn);
  }

  other(message: Message): void {
    this.messages.push(message);
    if (message.role !== 'tool') this.#before = this.messages.length - 1;
  }

  #begin(content: string, replyId: string | null): void {
    this.#calls = [];
    this.#turns = new Set();
    this.#replyId = replyId;
    this.#before = this.messages.push({ role: 'assistant', content, toolCalls: this.#calls }) - 1;
  }

  /** Index of the message that a call belongs to, -1 for a new one. */
  #messageOf(call: ToolCall, replyId: string | null): number {
    const last = this.messages.length - 1;
    if (this.messages[last]?.role === 'assistant') {
      const isOther = replyId !== null && this.#replyId !== null && replyId !== this.#replyId;
      return isOther ? -1 : last;
    }
    const turn = turnOf(call);
    const isOfIt = turn !== null && this.messages[this.#before]?.role === 'assistant' && this.#turns.has(turn);
    return isOfIt ? this.#before : -1;
  }
}

/** The session's calls are `call_<turn>_<place>`. */
const turnOf = (call: ToolCall): string | null => /^call_(\d+)_\d+$/.exec(call.id)?.[1] ?? null;

/** The reply that an item was a part of, by its id: see itemIds in responses-reply.ts. Other servers' ids give null. */
export function replyIdOf(itemId: unknown): string | null {
  if (typeof itemId !== 'string') return null;
  const whole = /^(?:msg|rs)_(.+-\d+)$/.exec(itemId) ?? /^(?:fc|ctc)_(.+-\d+)_\d+$/.exec(itemId);
  return whole?.[1] ?? null;
}

function addMessage(gathered: Gathered, item: JsonObject, at: string): void {
  const role = textAt(item['role'], `${at}.role`);
  const content = textOf(item['content'], `${at}.content`);
  switch (role) {
    case 'system':
    case 'developer':
      gathered.other({ role: 'system', content });
      break;
    case 'user':
      gathered.other({ role: 'user', content });
      break;
    case 'assistant':
      gathered.said(content, replyIdOf(item['id']));
      break;
    default:
      throw invalid(
        `${at}.role`,
        `Invalid value: '${role}'. Supported values are: 'assistant', 'system', 'developer', and 'user'.`,
        'invalid_value',
      );
  }
}

function addReferred(gathered: Gathered, id: string, kept: (replyId: string) => KeptReply | undefined): void {
  const replyId = replyIdOf(id);
  const completion = replyId === null ? undefined : kept(replyId)?.completion;
  const call = completion?.toolCalls[Number(/_(\d+)$/.exec(id)?.[1])];
  const isCall = /^(?:fc|ctc)_/.test(id);
  if (completion === undefined || (isCall && call === undefined)) {
    throw new Refusal(404, `Item with id '${id}' not found. Items of a reply asked with 'store: false' are not kept.`, {
      param: 'input',
    });
  }
  if (isCall) gathered.call(call as ToolCall, replyId);
  else if (id.startsWith('msg_')) gathered.said(completion.content, replyId);
}

const unreadable: Readonly<Record<string, string>> = {
  input_image: 'an image',
  input_file: 'a file',
  input_audio: 'a recording',
};

/** A string, or parts of text. `noteOf` gives what stands for a part that is no text; without it, they are refused. */
function textOf(value: unknown, at: string, noteOf?: (kind: string) => string): string {
  if (typeof value === 'string') return value;
  const parts = listAt(value, at).map((given, i) => {
    const where = `${at}[${i}]`;
    const part = objectAt(given, where);
    const type = part['type'];
    if (type === 'input_text' || type === 'output_text' || type === 'text')
      return textAt(part['text'], `${where}.text`);
    if (type === 'refusal') return textAt(part['refusal'], `${where}.refusal`);
    const kind = typeof type === 'string' && Object.hasOwn(unreadable, type) ? unreadable[type] : undefined;
    if (kind !== undefined && noteOf !== undefined) return noteOf(kind);
    throw invalid(
      `${where}.type`,
      kind !== undefined
        ? `Invalid value: '${shownKind(type)}'. This model reads text only: send 'input_text'.`
        : `Invalid value: '${shownKind(type)}'. Supported values are: 'input_text', 'output_text', and 'refusal'.`,
      'invalid_value',
    );
  });
  return parts.join('\n');
}
