/** What the built-in agent keeps of a chat completion, whole or streamed. The calls are echoed as they came. */
import type {
  ChatCompletionMessageFunctionToolCall as Call,
  ChatCompletion,
  ChatCompletionChunk,
} from 'openai/resources/chat/completions';
import { EspalierError } from '../../core/errors.ts';

export interface Reply {
  readonly content: string | null;
  readonly calls: readonly Call[];
  readonly finishReason: string;
}

/** Throws EspalierError('provider') for a completion without a choice. */
export function replyOf(completion: ChatCompletion): Reply {
  const choice = completion.choices[0];
  if (choice === undefined) throw new EspalierError('provider', 'the completion has no choice');
  const calls = (choice.message.tool_calls ?? []).filter((call): call is Call => call.type === 'function');
  return { content: choice.message.content, calls, finishReason: choice.finish_reason };
}

/** Joins the deltas. Throws EspalierError('provider') when the stream ends without a finish reason. */
export async function collectStream(stream: AsyncIterable<ChatCompletionChunk>): Promise<Reply> {
  let content: string | null = null;
  let finishReason: string | null = null;
  const calls: { id: string; name: string; text: string }[] = [];
  for await (const chunk of stream) {
    const choice = chunk.choices[0];
    if (choice === undefined) continue;
    if (typeof choice.delta.content === 'string') content = (content ?? '') + choice.delta.content;
    for (const delta of choice.delta.tool_calls ?? []) {
      calls[delta.index] ??= { id: '', name: '', text: '' };
      const call = calls[delta.index];
      if (call === undefined) continue;
      call.id += delta.id ?? '';
      call.name += delta.function?.name ?? '';
      call.text += delta.function?.arguments ?? '';
    }
    finishReason = choice.finish_reason ?? finishReason;
  }
  if (finishReason === null) throw new EspalierError('provider', 'the stream ended without a finish reason');
  return {
    content,
    calls: calls.map(({ id, name, text }) => ({ id, type: 'function', function: { name, arguments: text } })),
    finishReason,
  };
}
