/**
 * Messages in canonical form: what must agree for two histories to be the same conversation.
 *
 * Not what a model reads: recorded ids are. Agents re-serialize arguments, re-number calls and turn strings into
 * arrays; none of that makes another conversation.
 *
 * Invariants:
 * 1. Ids of tool calls do not count; a tool's answer counts with the position of the call that it answers.
 * 2. Arguments count as a JSON value with sorted keys, broken ones as text.
 * 3. White space around an assistant's content does not count: agents trim it.
 */
import { hash } from 'node:crypto';
import type { Message } from '../core/message.ts';
import type { ToolDefinition } from '../core/tool.ts';

/** A message, or a list of tools, under the hash of its canonical JSON. */
export interface MessageBlock {
  /** 128 bits of SHA-256, base64url. */
  readonly key: string;
  /** Canonical JSON. */
  readonly body: string;
}

/** The parsed body of a block, for transcripts. */
export type BlockBody =
  | { readonly role: 'tools'; readonly tools: readonly ToolDefinition[] }
  | { readonly role: 'system' | 'user'; readonly content: string }
  | {
      readonly role: 'assistant';
      readonly content: string;
      readonly calls: readonly { readonly name: string; readonly arguments: unknown }[];
    }
  | { readonly role: 'tool'; readonly answers: number; readonly content: string };

const keyOf = (text: string): string => hash('sha256', text, 'base64url').slice(0, 22);
const block = (body: BlockBody): MessageBlock => {
  const text = JSON.stringify(body);
  return { key: keyOf(text), body: text };
};

export function toolsBlock(tools: readonly ToolDefinition[]): MessageBlock {
  return block({ role: 'tools', tools: sorted(tools) as ToolDefinition[] });
}

/** One block a message. */
export function messageBlocks(messages: readonly Message[]): MessageBlock[] {
  let places = new Map<string, number>();
  return messages.map((message) => {
    switch (message.role) {
      case 'system':
      case 'user':
        return block({ role: message.role, content: message.content });
      case 'assistant':
        places = placesOf(message.toolCalls);
        return assistantBlock(message.content, message.toolCalls);
      case 'tool': {
        const answers = places.get(message.toolCallId) ?? -1;
        return block({ role: 'tool', answers, content: message.content });
      }
      default:
        return message satisfies never;
    }
  });
}

/** The first call under an id counts. */
function placesOf(calls: readonly { readonly id: string }[]): Map<string, number> {
  const places = new Map<string, number>();
  for (const [place, { id }] of calls.entries()) if (!places.has(id)) places.set(id, place);
  return places;
}

export function assistantBlock(
  content: string,
  calls: readonly { readonly name: string; readonly arguments: string }[],
): MessageBlock {
  return block({
    role: 'assistant',
    content: content.trim(),
    calls: calls.map((call) => ({ name: call.name, arguments: argumentsValue(call.arguments) })),
  });
}

/** Key of a list of blocks that is grown by one. The empty list's key is ''. */
export function extendKey(prefix: string, next: string): string {
  return keyOf(`${prefix} ${next}`);
}

function argumentsValue(text: string): unknown {
  try {
    return sorted(JSON.parse(text));
  } catch {
    return text;
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}
