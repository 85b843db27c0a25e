/**
 * A rollout's conversation as people read it: the messages of its last turn and the reply to them.
 *
 * Not token-faithful, and nothing learns from it: call ids are made anew, arguments are in canonical form.
 */
import type { RolloutId } from '../core/ids.ts';
import type { Message } from '../core/message.ts';
import type { BlockBody } from './canonical.ts';
import type { TurnRecord } from './records.ts';
import type { RunIndex } from './run-index.ts';

/** Empty when the rollout has no turn. `index` must keep bodies. */
export function messagesOf(index: RunIndex, rollout: RolloutId): Message[] {
  const turns = index.turns(rollout);
  const last = turns.at(-1);
  if (last === undefined) return [];
  const byIndex = new Map(turns.map((turn) => [turn.index, turn]));
  const keys = [...requestKeys(last, byIndex), last.reply];
  const bodies = keys.map((key) => JSON.parse(index.messageBody(key) ?? 'null') as BlockBody | null);
  let assistants = 0;
  return bodies.flatMap((body): Message[] => {
    if (body?.role === 'assistant') assistants++;
    return body === null || body.role === 'tools' ? [] : [messageOf(body, assistants)];
  });
}

/** Keys of the request's messages, in order. */
function requestKeys(turn: TurnRecord, byIndex: ReadonlyMap<number, TurnRecord>): string[] {
  const parent = turn.parent === null ? undefined : byIndex.get(turn.parent);
  const inherited = parent === undefined ? [] : [...requestKeys(parent, byIndex), parent.reply];
  return [...inherited.slice(0, turn.messagesReused), ...turn.messages];
}

/** `assistants`: how many assistant messages stand up to here: answers belong to the last one. */
function messageOf(body: Exclude<BlockBody, { role: 'tools' }>, assistants: number): Message {
  const callId = (at: number): string => `call_${assistants}_${at}`;
  switch (body.role) {
    case 'system':
    case 'user':
      return { role: body.role, content: body.content };
    case 'assistant':
      return {
        role: 'assistant',
        content: body.content,
        toolCalls: body.calls.map((call, at) => ({
          id: callId(at),
          name: call.name,
          arguments: typeof call.arguments === 'string' ? call.arguments : JSON.stringify(call.arguments),
        })),
      };
    case 'tool':
      return { role: 'tool', toolCallId: callId(body.answers), content: body.content };
    default:
      return body satisfies never;
  }
}
