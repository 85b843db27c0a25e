/**
 * What a relayed call said, whatever its wire format: read from a copy, after the bytes have passed.
 *
 * Not a dialect: nothing is refused, completed or written here, and nothing depends on it but the record.
 */
import type { Message, ToolCall } from '../../core/message.ts';
import type { ToolDefinition } from '../../core/tool.ts';
import type { FinishReason } from '../../core/turn.ts';
import type { Fields } from './lenient.ts';

export interface RelayedRequest {
  readonly model: string;
  readonly messages: readonly Message[];
  readonly tools: readonly ToolDefinition[];
  /** Everything else that was asked for. */
  readonly settings: Fields;
}

export interface RelayedReply {
  /** As the upstream names it, or ''. */
  readonly model: string;
  readonly thinking: string;
  readonly content: string;
  readonly toolCalls: readonly ToolCall[];
  readonly finishReason: FinishReason;
  readonly usage: { readonly promptTokens: number; readonly completionTokens: number } | null;
  /** Where the upstream told all of them; `completion` and `logprobs` are aligned. */
  readonly tokens: RelayedTokens | null;
}

export interface RelayedTokens {
  readonly prompt: Int32Array;
  readonly completion: Int32Array;
  readonly logprobs: Float32Array;
}

export interface RelayFormat {
  request(body: Fields): RelayedRequest;
  /** One a choice; null when the body is no whole reply. */
  reply(body: Fields): readonly RelayedReply[] | null;
  /** The body that would have come without streaming; null when the stream did not come to its end. */
  joined(events: readonly Fields[]): Fields | null;
}
