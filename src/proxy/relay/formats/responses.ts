/** `/responses`, as it passes by. A history that the upstream keeps (`previous_response_id`) is not in the request. */
import type { Message, ToolCall } from '../../../core/message.ts';
import type { RelayFormat } from '../format.ts';
import { argumentsOf, contentOf, countOf, type Fields, fieldsOf, listOf, textOf, without } from '../lenient.ts';

export const responses: RelayFormat = {
  request: (body) => ({
    model: textOf(body['model']),
    messages: [...instructionsOf(body['instructions']), ...inputOf(body['input'])],
    tools: listOf(body['tools']).map((each) => {
      const { name, type, description, parameters } = fieldsOf(each);
      return { name: textOf(name) || textOf(type), description: textOf(description), parameters: fieldsOf(parameters) };
    }),
    settings: without(body, ['model', 'instructions', 'input', 'tools', 'stream']),
  }),
  reply: (body) => {
    if (!Array.isArray(body['output'])) return null;
    const output = body['output'].map(fieldsOf);
    const toolCalls = output.flatMap(callOf);
    const { input_tokens, output_tokens } = fieldsOf(body['usage']);
    const [promptTokens, completionTokens] = [countOf(input_tokens), countOf(output_tokens)];
    const isCut = fieldsOf(body['incomplete_details'])['reason'] === 'max_output_tokens';
    return [
      {
        model: textOf(body['model']),
        thinking: output.map(thinkingOf).filter(Boolean).join('\n'),
        content: output
          .filter(({ type }) => type === 'message')
          .map(({ content }) => contentOf(content))
          .join('\n'),
        toolCalls,
        finishReason: isCut ? 'length' : toolCalls.length > 0 ? 'tool_calls' : 'stop',
        usage: promptTokens === null || completionTokens === null ? null : { promptTokens, completionTokens },
        tokens: null,
      },
    ];
  },
  joined: (events) => {
    const end = events.findLast(({ type }) => type === 'response.completed' || type === 'response.incomplete');
    if (end === undefined) return null;
    const response = fieldsOf(end['response']);
    if (listOf(response['output']).length > 0) return response;
    const items = events.filter(({ type }) => type === 'response.output_item.done').map(({ item }) => item);
    return { ...response, output: items };
  },
};

function instructionsOf(instructions: unknown): Message[] {
  return typeof instructions === 'string' && instructions !== '' ? [{ role: 'system', content: instructions }] : [];
}

/** Items to messages: what the assistant said and the calls that follow it are one. */
function inputOf(input: unknown): Message[] {
  if (typeof input === 'string') return [{ role: 'user', content: input }];
  const messages: Message[] = [];
  for (const item of listOf(input).map(fieldsOf)) {
    const calls = callOf(item);
    const last = messages.at(-1);
    const open = last?.role === 'assistant' ? last : null;
    if (calls.length > 0) {
      if (open === null) messages.push({ role: 'assistant', content: '', toolCalls: calls });
      else messages[messages.length - 1] = { ...open, toolCalls: [...open.toolCalls, ...calls] };
    } else if (textOf(item['type']).endsWith('_output')) {
      messages.push({ role: 'tool', toolCallId: textOf(item['call_id']), content: contentOf(item['output']) });
    } else if (item['role'] !== undefined) {
      messages.push(...said(item));
    }
  }
  return messages;
}

function said({ role, content }: Fields): Message[] {
  const text = contentOf(content);
  if (role === 'assistant') return [{ role, content: text, toolCalls: [] }];
  return [{ role: role === 'system' || role === 'developer' ? 'system' : 'user', content: text }];
}

function callOf({ type, call_id, name, arguments: args, input, action }: Fields): ToolCall[] {
  if (!textOf(type).endsWith('_call')) return [];
  return [{ id: textOf(call_id), name: textOf(name) || textOf(type), arguments: argumentsOf(args ?? input ?? action) }];
}

function thinkingOf({ type, summary, content }: Fields): string {
  return type === 'reasoning' ? contentOf(listOf(content).length > 0 ? content : summary) : '';
}
