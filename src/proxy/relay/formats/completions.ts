/** `/completions`, as it passes by: text or ids in, text out, no messages. */
import type { RelayedReply, RelayFormat } from '../format.ts';
import { countOf, type Fields, fieldsOf, listOf, textOf, without } from '../lenient.ts';
import { tokensOf } from '../tokens.ts';
import { chatFinish } from './chat.ts';

export const completions: RelayFormat = {
  request: (body) => ({
    model: textOf(body['model']),
    messages: [{ role: 'user', content: promptText(body['prompt']) }],
    tools: [],
    settings: without(body, ['model', 'prompt', 'stream', 'stream_options']),
  }),
  reply: (body) => {
    const choices = listOf(body['choices']).map(fieldsOf);
    return choices.length === 0 ? null : choices.map((choice) => replyOf(body, choice));
  },
  joined: joinChunks,
};

function promptText(prompt: unknown): string {
  if (typeof prompt === 'string') return prompt;
  const parts = listOf(prompt);
  return parts.every((part) => typeof part === 'string') ? parts.join('\n') : `[${parts.length} token ids]`;
}

function replyOf(body: Fields, choice: Fields): RelayedReply {
  const { prompt_tokens, completion_tokens } = fieldsOf(body['usage']);
  const [promptTokens, completionTokens] = [countOf(prompt_tokens), countOf(completion_tokens)];
  return {
    model: textOf(body['model']),
    thinking: '',
    content: textOf(choice['text']),
    toolCalls: [],
    finishReason: chatFinish(choice['finish_reason'], 0),
    usage: promptTokens === null || completionTokens === null ? null : { promptTokens, completionTokens },
    tokens: tokensOf(body, choice),
  };
}

function joinChunks(events: readonly Fields[]): Fields | null {
  const choices = new Map<
    number,
    { text: string; ids: unknown[]; logprobs: unknown[]; prompt: unknown; finish: unknown }
  >();
  let [model, usage, promptIds]: unknown[] = [];
  for (const event of events) {
    if (event['error'] !== undefined) return null;
    model ??= event['model'];
    usage = event['usage'] ?? usage;
    promptIds ??= event['prompt_token_ids'];
    for (const chunk of listOf(event['choices']).map(fieldsOf)) {
      const index = countOf(chunk['index']) ?? 0;
      const choice = choices.get(index) ?? { text: '', ids: [], logprobs: [], prompt: undefined, finish: null };
      choices.set(index, choice);
      choice.text += textOf(chunk['text']);
      choice.ids.push(...listOf(chunk['token_ids']));
      choice.logprobs.push(...listOf(fieldsOf(chunk['logprobs'])['token_logprobs']));
      choice.prompt ??= chunk['prompt_token_ids'];
      choice.finish = chunk['finish_reason'] ?? choice.finish;
    }
  }
  if (choices.size === 0 || [...choices.values()].some(({ finish }) => finish === null)) return null;
  const inOrder = [...choices.entries()].sort(([a], [b]) => a - b);
  return {
    model,
    usage,
    prompt_token_ids: promptIds,
    choices: inOrder.map(([, { text, ids, logprobs, prompt, finish }]) => ({
      text,
      finish_reason: finish,
      token_ids: ids,
      logprobs: { token_logprobs: logprobs },
      prompt_token_ids: prompt,
    })),
  };
}
