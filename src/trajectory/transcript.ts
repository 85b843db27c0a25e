/**
 * A rollout's conversations as people read them: the branches that its turns make, message by message.
 *
 * Not token-faithful, and nothing learns from it: call ids are made anew, arguments are in canonical form.
 *
 * Invariants:
 * 1. Every turn lies on exactly one branch as its own; a branch's own turns continue each other, message for message.
 * 2. A branch shares no longer beginning with an earlier branch than its fork says.
 */
import type { RolloutId } from '../core/ids.ts';
import type { Message } from '../core/message.ts';
import { type BlockBody, extendKey } from './canonical.ts';
import type { TurnRecord } from './records.ts';
import type { RunIndex } from './run-index.ts';

export interface BranchMessage {
  readonly message: Message;
  /** Index of the turn that sampled it, or null: it came with a request. */
  readonly turn: number | null;
  /** It is an earlier branch's, too. */
  readonly shared: boolean;
}

/** One conversation of a rollout, from its first message on. */
export interface Branch {
  /** Indexes of its own turns, in order. */
  readonly turns: readonly number[];
  /** Where it leaves an earlier branch: after that one's first `messages` messages. null when it starts by itself. */
  readonly fork: { readonly branch: number; readonly messages: number } | null;
  readonly messages: readonly BranchMessage[];
}

/** In the order of their first turns. Empty when the rollout has no turn. `index` must keep bodies. */
export function branchesOf(index: RunIndex, rollout: RolloutId): Branch[] {
  const turns = index.turns(rollout);
  const conversations = conversationsOf(turns);
  const ends = new Map<string, Line[]>();
  const known = new Map<string, number>();
  const branches: { turns: number[]; fork: Branch['fork']; last: Line }[] = [];
  for (const turn of turns) {
    const keys = conversations.get(turn.index) ?? [];
    const prefixes = prefixKeys(keys);
    const before = continued(prefixes.slice(0, -1), ends, turn.parent);
    const line: Line = { index: turn.index, keys, before };
    const at = before === null ? -1 : branches.findIndex(({ last }) => last === before);
    const own = branches[at];
    if (own === undefined) branches.push({ turns: [turn.index], fork: forkOf(prefixes, known), last: line });
    else {
      own.turns.push(turn.index);
      own.last = line;
    }
    const branch = own === undefined ? branches.length - 1 : at;
    for (const key of prefixes) if (!known.has(key)) known.set(key, branch);
    const end = prefixes.at(-1) ?? '';
    ends.set(end, [...(ends.get(end) ?? []), line]);
  }
  return branches.map(({ turns: own, fork, last }) => ({
    turns: own,
    fork,
    messages: branchMessages(index, last, fork?.messages ?? 0),
  }));
}

/** The messages of the last turn and the reply to them. Empty when the rollout has no turn. `index` must keep bodies. */
export function messagesOf(index: RunIndex, rollout: RolloutId): Message[] {
  const turns = index.turns(rollout);
  const last = turns.at(-1);
  return last === undefined ? [] : messagesFrom(index, conversationsOf(turns).get(last.index) ?? []);
}

/** What a turn answered, or null when its body is not kept. */
export function replyOf(index: RunIndex, turn: TurnRecord): Extract<Message, { role: 'assistant' }> | null {
  const [reply] = messagesFrom(index, [turn.reply]);
  return reply?.role === 'assistant' ? reply : null;
}

/** By turn index: the keys of its request's messages, and of its reply. `turns` are all of a rollout's. */
export function conversationsOf(turns: readonly TurnRecord[]): Map<number, readonly string[]> {
  const conversations = new Map<number, readonly string[]>();
  for (const turn of turns) {
    const parent = turn.parent === null ? undefined : conversations.get(turn.parent);
    const inherited = parent?.slice(0, turn.messagesReused) ?? [];
    conversations.set(turn.index, [...inherited, ...turn.messages, turn.reply]);
  }
  return conversations;
}

/** A turn's conversation, and the turn whose whole conversation begins its request. */
interface Line {
  readonly index: number;
  readonly keys: readonly string[];
  readonly before: Line | null;
}

/** Element i is the key of the first i + 1 messages. */
function prefixKeys(keys: readonly string[]): string[] {
  const prefixes: string[] = [];
  for (const key of keys) prefixes.push(extendKey(prefixes.at(-1) ?? '', key));
  return prefixes;
}

/** The longest conversation that begins a request; of equal ones the one whose ids were reused, else the last. */
function continued(request: readonly string[], ends: ReadonlyMap<string, Line[]>, parent: number | null): Line | null {
  for (const key of request.toReversed()) {
    const lines = ends.get(key);
    if (lines !== undefined) return lines.find(({ index }) => index === parent) ?? lines.at(-1) ?? null;
  }
  return null;
}

function forkOf(prefixes: readonly string[], known: ReadonlyMap<string, number>): Branch['fork'] {
  for (let messages = prefixes.length; messages > 0; messages--) {
    const branch = known.get(prefixes[messages - 1] as string);
    if (branch !== undefined) return { branch, messages };
  }
  return null;
}

function branchMessages(index: RunIndex, last: Line, shared: number): BranchMessage[] {
  const sampledBy = new Map<number, number>();
  for (let line: Line | null = last; line !== null; line = line.before) {
    sampledBy.set(line.keys.length - 1, line.index);
  }
  return bodiesOf(index, last.keys).flatMap(({ message, at }) =>
    message === null ? [] : [{ message, turn: sampledBy.get(at) ?? null, shared: at < shared }],
  );
}

function messagesFrom(index: RunIndex, keys: readonly string[]): Message[] {
  return bodiesOf(index, keys).flatMap(({ message }) => message ?? []);
}

/** A message is null where its body is not kept. */
function bodiesOf(index: RunIndex, keys: readonly string[]): { message: Message | null; at: number }[] {
  let assistants = 0;
  return keys.map((key, at) => {
    const body = JSON.parse(index.messageBody(key) ?? 'null') as BlockBody | null;
    if (body?.role === 'assistant') assistants++;
    return { message: body === null || body.role === 'tools' ? null : messageOf(body, assistants), at };
  });
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
