/**
 * Chat JSONL: a list of messages in OpenAI's form, and the tools, a line.
 *
 * Taken: `{ messages, tools? }` or the bare list; content as text or text parts; arguments as JSON text or as an object;
 * `reasoning_content` as thinking; `weight: 0` on what is not learned. Fields that say nothing about the conversation
 * are passed over; what would change it and cannot be read is refused.
 */
import { z } from 'zod';
import type { Message } from '../../core/message.ts';
import type { ToolDefinition } from '../../core/tool.ts';
import { type Conversation, withThinking } from './conversation.ts';

const textPart = z.object({ type: z.literal('text', 'only text can be read'), text: z.string() });
const content = z.union([z.string(), z.array(textPart)]).transform(joinedText);
const weight = z.union([z.literal(0), z.literal(1)]).optional();

const callSchema = z.object({
  id: z.string().optional(),
  function: z.object({
    name: z.string().min(1),
    arguments: z
      .union([z.string(), z.record(z.string(), z.unknown())])
      .default('{}')
      .transform((value) => (typeof value === 'string' ? value : JSON.stringify(value))),
  }),
});

const messageSchema = z.discriminatedUnion('role', [
  z.object({ role: z.enum(['system', 'developer']), content, weight }),
  z.object({ role: z.literal('user'), content, weight }),
  z.object({
    role: z.literal('assistant'),
    content: content.nullish(),
    reasoning_content: z.string().nullish(),
    tool_calls: z.array(callSchema).nullish(),
    function_call: z.null('the old function_call form is not read: write tool_calls').optional(),
    weight,
  }),
  z.object({ role: z.literal('tool'), tool_call_id: z.string(), content, weight }),
]);

const toolSchema = z.object({
  type: z.literal('function'),
  function: z.object({
    name: z.string().min(1),
    description: z.string().default(''),
    parameters: z.record(z.string(), z.unknown()).default({ type: 'object', properties: {} }),
  }),
});

const lineSchema = z.object({
  messages: z.array(messageSchema).min(1),
  tools: z.array(toolSchema).nullish(),
  functions: z.null('the old functions form is not read: write tools').optional(),
});

/** Throws ZodError. */
export function chatConversation(value: unknown): Conversation {
  const line = lineSchema.parse(Array.isArray(value) ? { messages: value } : value);
  return {
    messages: line.messages.map(messageOf),
    tools: (line.tools ?? []).map(({ function: tool }): ToolDefinition => tool),
    unlearned: new Set(line.messages.flatMap((message, at) => (message.weight === 0 ? [at] : []))),
  };
}

function messageOf(message: z.output<typeof messageSchema>, at: number): Message {
  switch (message.role) {
    case 'system':
    case 'developer':
      return { role: 'system', content: message.content };
    case 'user':
      return { role: 'user', content: message.content };
    case 'tool':
      return { role: 'tool', toolCallId: message.tool_call_id, content: message.content };
    case 'assistant':
      return {
        role: 'assistant',
        content: withThinking(message.reasoning_content ?? '', message.content ?? ''),
        toolCalls: (message.tool_calls ?? []).map((call, i) => ({
          id: call.id ?? `call_${at}_${i}`,
          name: call.function.name,
          arguments: call.function.arguments,
        })),
      };
    default:
      return message satisfies never;
  }
}

export function joinedText(value: string | readonly { readonly text: string }[]): string {
  return typeof value === 'string' ? value : value.map(({ text }) => text).join('\n');
}
