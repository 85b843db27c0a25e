/**
 * What a dialect is: a wire format of agents, between JSON and the conversation that the proxy understands.
 *
 * Not here: HTTP, sessions, sampling. A dialect is pure: the same JSON gives the same request, the same completion the
 * same bytes.
 */
import type { Message, ToolCall } from '../core/message.ts';
import type { ToolDefinition } from '../core/tool.ts';
import type { FinishReason } from '../core/turn.ts';
import type { Refusal } from './refusal.ts';
import type { SamplingWish } from './sampling-wish.ts';

/** What an agent asks for, whatever it speaks. */
export interface CompletionRequest {
  readonly model: string;
  readonly messages: readonly Message[];
  readonly tools: readonly ToolDefinition[];
  readonly stream: boolean;
  /** The agent's limit on sampled tokens, or null. */
  readonly maxTokens: number | null;
  /** Strings at which the completion ends, none of them empty; they are no part of what is said. Default none. */
  readonly stop?: readonly string[];
  /** Honored where the session leaves sampling to requests. Default nothing. */
  readonly sampling?: SamplingWish;
  /** Sampling parameters and labels as they were asked for: recorded, whether or not they are honored. */
  readonly wishes: Readonly<Record<string, unknown>>;
}

/** What does not change within a reply. */
export interface ReplyHead {
  /** Unique in its session, e.g. `<session>-3`; the dialect puts its prefix before it. */
  readonly id: string;
  readonly model: string;
  /** Seconds since 1970. */
  readonly created: number;
}

/** A sampled turn, taken apart. */
export interface Completion {
  readonly thinking: string;
  readonly content: string;
  readonly toolCalls: readonly ToolCall[];
  readonly finishReason: FinishReason;
  /** The stop string that ended it, or null. */
  readonly stop: string | null;
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/**
 * Server-sent events of one reply, in the order begin, thinking*, text*, end; or failure in place of the rest.
 *
 * The deltas of a stream, joined, are the message of the JSON reply.
 */
export interface ReplyStream {
  begin(): string;
  /** A piece of the thinking, as it grows; whole before the first text(). A dialect without it gives it in end(). */
  thinking?(piece: string): string;
  /** A piece of the content, as it grows. */
  text(piece: string): string;
  /** What has not been given yet, the calls, the reason, the counts. */
  end(completion: Completion): string;
  /** The error event, or ''; whoever sends it must then break the connection, so that no client takes it for an end. */
  failure(refusal: Refusal): string;
  /** What an idle connection is kept open with. */
  keepAlive(): string;
}

/** A request and the two ways to answer it. */
export interface ParsedRequest {
  readonly request: CompletionRequest;
  json(head: ReplyHead, completion: Completion): string;
  stream(head: ReplyHead): ReplyStream;
  /** Of a request that only asks how long its prompt is, in tokens: the answer, in place of a reply. */
  count?(promptTokens: number): string;
}

/** A reply and the conversation that it answers, for later requests that name it instead of repeating it. */
export interface KeptReply {
  readonly messages: readonly Message[];
  readonly completion: Completion;
}

/** Replies of one session, by `ReplyHead.id`. It lives as long as the session is open. */
export type ReplyMemory = Map<string, KeptReply>;

export interface Dialect {
  /** After `/v1`, e.g. `/chat/completions`. */
  readonly path: string;
  /** Throws Refusal. A dialect whose requests name earlier replies finds them in `memory` and adds to it. */
  parse(json: unknown, memory?: ReplyMemory): ParsedRequest;
  /** The JSON body of an error. */
  error(refusal: Refusal): string;
}
