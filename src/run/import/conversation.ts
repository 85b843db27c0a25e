/**
 * A conversation that somebody brings for supervised training, whatever file it came from, and its form on disk.
 *
 * On disk it is a line of chat JSONL as OpenAI's fine-tuning takes it: `messages`, `tools`, and `weight: 0` on messages
 * that are not learned.
 */
import type { Message } from '../../core/message.ts';
import type { ToolDefinition } from '../../core/tool.ts';

export interface Conversation {
  readonly messages: readonly Message[];
  readonly tools: readonly ToolDefinition[];
  /** Indexes of messages that stay in context and are not learned. */
  readonly unlearned: ReadonlySet<number>;
}

/** Indexes of the replies that are learned. */
export function learnedReplies({ messages, unlearned }: Conversation): number[] {
  return messages.flatMap(({ role }, at) => (role === 'assistant' && !unlearned.has(at) ? [at] : []));
}

export function chatLine({ messages, tools, unlearned }: Conversation) {
  return {
    messages: messages.map((message, at) => ({ ...chatMessage(message), ...(unlearned.has(at) && { weight: 0 }) })),
    ...(tools.length > 0 && { tools: tools.map((tool) => ({ type: 'function', function: tool })) }),
  };
}

function chatMessage(message: Message) {
  switch (message.role) {
    case 'system':
    case 'user':
      return { role: message.role, content: message.content };
    case 'tool':
      return { role: message.role, tool_call_id: message.toolCallId, content: message.content };
    case 'assistant':
      return {
        role: message.role,
        content: message.content,
        ...(message.toolCalls.length > 0 && {
          tool_calls: message.toolCalls.map(({ id, name, arguments: text }) => ({
            id,
            type: 'function',
            function: { name, arguments: text },
          })),
        }),
      };
    default:
      return message satisfies never;
  }
}

/** Thinking before what was said, in the form that chat templates write it. */
export function withThinking(thinking: string, content: string): string {
  return thinking.trim() === '' ? content : `<think>\n${thinking.trim()}\n</think>\n\n${content.trimStart()}`;
}
