/** `/chat/completions`, as it passes by. */
import type { Message, ToolCall } from '../../../core/message.ts';
import type { ToolDefinition } from '../../../core/tool.ts';
import type { FinishReason } from '../../../core/turn.ts';
import type { RelayedReply, RelayFormat } from '../format.ts';
import { argumentsOf, contentOf, countOf, type Fields, fieldsOf, listOf, textOf, without } from '../lenient.ts';
import { tokensOf } from '../tokens.ts';

export const chat: RelayFormat = {
  request: (body) => ({
    model: textOf(body['model']),
    messages: listOf(body['messages']).map((each) => messageOf(fieldsOf(each))),
    tools: listOf(body['tools']).map((each) => chatTool(fieldsOf(each))),
    settings: without(body, ['model', 'messages', 'tools', 'stream', 'stream_options']),
  }),
  reply: (body) => {
    const choices = listOf(body['choices']).map(fieldsOf);
    return choices.length === 0 ? null : choices.map((choice) => replyOf(body, choice));
  },
  joined: joinChunks,
};

function messageOf(message: Fields): Message {
  const content = contentOf(message['content']);
  switch (message['role']) {
    case 'assistant':
      return { role: 'assistant', content, toolCalls: callsOf(message) };
    case 'tool':
    case 'function':
      return { role: 'tool', toolCallId: textOf(message['tool_call_id']), content };
    case 'system':
    case 'developer':
      return { role: 'system', content };
    default:
      return { role: 'user', content };
  }
}

function callsOf(message: Fields): ToolCall[] {
  return listOf(message['tool_calls']).map((each) => {
    const call = fieldsOf(each);
    const { name, arguments: args, input } = fieldsOf(call['function'] ?? call['custom']);
    return { id: textOf(call['id']), name: textOf(name), arguments: argumentsOf(args ?? input) };
  });
}

function chatTool(tool: Fields): ToolDefinition {
  const { name, description, parameters } = fieldsOf(tool['function'] ?? tool['custom']);
  return {
    name: textOf(name) || textOf(tool['type']),
    description: textOf(description),
    parameters: fieldsOf(parameters),
  };
}

function replyOf(body: Fields, choice: Fields): RelayedReply {
  const message = fieldsOf(choice['message']);
  const { prompt_tokens, completion_tokens } = fieldsOf(body['usage']);
  const [promptTokens, completionTokens] = [countOf(prompt_tokens), countOf(completion_tokens)];
  const toolCalls = callsOf(message);
  return {
    model: textOf(body['model']),
    thinking: textOf(message['reasoning_content']) || textOf(message['reasoning']),
    content: contentOf(message['content'] ?? message['refusal'] ?? ''),
    toolCalls,
    finishReason: chatFinish(choice['finish_reason'], toolCalls.length),
    usage: promptTokens === null || completionTokens === null ? null : { promptTokens, completionTokens },
    tokens: tokensOf(body, choice),
  };
}

export function chatFinish(reason: unknown, callCount: number): FinishReason {
  if (reason === 'length') return 'length';
  return callCount > 0 ? 'tool_calls' : 'stop';
}

interface JoinedChoice {
  content: string;
  reasoning: string;
  readonly calls: Map<number, { id: string; name: string; arguments: string }>;
  readonly logprobs: unknown[];
  readonly ids: unknown[];
  promptIds: unknown;
  finish: unknown;
}

function joinChunks(events: readonly Fields[]): Fields | null {
  const choices = new Map<number, JoinedChoice>();
  let [model, usage, promptIds]: unknown[] = [];
  for (const event of events) {
    if (event['error'] !== undefined) return null;
    model ??= event['model'];
    usage = event['usage'] ?? usage;
    promptIds ??= event['prompt_token_ids'];
    for (const each of listOf(event['choices'])) joinChoice(choices, fieldsOf(each));
  }
  if (choices.size === 0 || [...choices.values()].some(({ finish }) => finish === null)) return null;
  const inOrder = [...choices.entries()].sort(([a], [b]) => a - b).map(([, choice]) => choice);
  return { model, usage, prompt_token_ids: promptIds, choices: inOrder.map(choiceOf) };
}

function joinChoice(choices: Map<number, JoinedChoice>, chunk: Fields): void {
  const index = countOf(chunk['index']) ?? 0;
  const choice: JoinedChoice = choices.get(index) ?? {
    content: '',
    reasoning: '',
    calls: new Map(),
    logprobs: [],
    ids: [],
    promptIds: undefined,
    finish: null,
  };
  choices.set(index, choice);
  const delta = fieldsOf(chunk['delta']);
  choice.content += textOf(delta['content']) || textOf(delta['refusal']);
  choice.reasoning += textOf(delta['reasoning_content']) || textOf(delta['reasoning']);
  choice.logprobs.push(...listOf(fieldsOf(chunk['logprobs'])['content']));
  choice.ids.push(...listOf(chunk['token_ids']));
  choice.promptIds ??= chunk['prompt_token_ids'];
  choice.finish = chunk['finish_reason'] ?? choice.finish;
  for (const [position, each] of listOf(delta['tool_calls']).entries()) {
    const call = fieldsOf(each);
    const at = countOf(call['index']) ?? position;
    const { name, arguments: args } = fieldsOf(call['function']);
    const known = choice.calls.get(at) ?? { id: '', name: '', arguments: '' };
    choice.calls.set(at, known);
    known.id ||= textOf(call['id']);
    known.name ||= textOf(name);
    known.arguments += textOf(args);
  }
}

function choiceOf({ content, reasoning, calls, logprobs, ids, promptIds, finish }: JoinedChoice): Fields {
  const tool_calls = [...calls.entries()].sort(([a], [b]) => a - b).map(([, { id, ...fn }]) => ({ id, function: fn }));
  return {
    message: { content, reasoning_content: reasoning, tool_calls },
    finish_reason: finish,
    ...(logprobs.length > 0 && { logprobs: { content: logprobs } }),
    ...(ids.length > 0 && { token_ids: ids }),
    ...(promptIds !== undefined && { prompt_token_ids: promptIds }),
  };
}
