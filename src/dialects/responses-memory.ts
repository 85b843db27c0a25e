/**
 * What a session remembers of its replies, for `previous_response_id` and `item_reference`.
 *
 * Invariant: an agent that sends its whole history each time does not make the memory grow with the square of its turns:
 * messages that two conversations begin with are held once.
 */
import type { Message } from '../core/message.ts';
import type { Completion, KeptReply, ReplyMemory } from './dialect.ts';

export function keepReply(
  memory: ReplyMemory,
  replyId: string,
  messages: readonly Message[],
  completion: Completion,
): void {
  let last: KeptReply | undefined;
  for (last of memory.values());
  memory.set(replyId, { messages: sharing(last?.messages ?? [], messages), completion });
}

/** `fresh`, with the objects of `known` where both say the same from the beginning on. */
function sharing(known: readonly Message[], fresh: readonly Message[]): readonly Message[] {
  const differs = fresh.findIndex((message, i) => !isSame(known[i], message));
  const shared = differs < 0 ? fresh.length : differs;
  return [...known.slice(0, shared), ...fresh.slice(shared)];
}

function isSame(a: Message | undefined, b: Message): boolean {
  if (a === b) return true;
  if (a?.role !== b.role || a.content !== b.content) return false;
  if (a.role === 'tool') return b.role === 'tool' && a.toolCallId === b.toolCallId;
  if (a.role !== 'assistant' || b.role !== 'assistant') return true;
  return (
    a.toolCalls.length === b.toolCalls.length &&
    a.toolCalls.every((call, i) => {
      const other = b.toolCalls[i];
      return call.id === other?.id && call.name === other.name && call.arguments === other.arguments;
    })
  );
}
