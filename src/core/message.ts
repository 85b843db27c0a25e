/** The conversation as every dialect understands it. Parsed at the edge (`dialects/`), trusted inside. */

/** A call that the model made. `arguments` is the JSON text as sampled: it may be broken, and then is an error turn. */
export interface ToolCall {
  /** Unique in its session; agents loop when a server re-issues ids. */
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}

export type Message =
  | { readonly role: 'system'; readonly content: string }
  | { readonly role: 'user'; readonly content: string }
  | { readonly role: 'assistant'; readonly content: string; readonly toolCalls: readonly ToolCall[] }
  | { readonly role: 'tool'; readonly toolCallId: string; readonly content: string };
