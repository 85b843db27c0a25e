/**
 * A model's chat template (Jinja), fed with messages in the form that Hugging Face documents.
 *
 * Not incremental and not trusted to be so: renderer.ts builds on it and bridge-check.ts proves it.
 */
import { Template } from '@huggingface/jinja';
import { EspalierError, messageOf } from '../core/errors.ts';
import type { Message } from '../core/message.ts';
import type { ToolDefinition } from '../core/tool.ts';

/** Texts of named tokens that templates refer to. */
export interface TemplateTokens {
  readonly bos_token: string | null;
  readonly eos_token: string | null;
}

export class ChatTemplate {
  readonly #template: Template;
  readonly #tokens: Readonly<Record<string, string>>;

  /** Throws EspalierError('checkpoint') when the template does not parse. */
  constructor(source: string, tokens: TemplateTokens) {
    try {
      this.#template = new Template(source);
    } catch (cause) {
      throw new EspalierError('checkpoint', `the chat template does not parse: ${messageOf(cause)}`, { cause });
    }
    this.#tokens = Object.fromEntries(
      Object.entries(tokens).filter((entry): entry is [string, string] => entry[1] !== null),
    );
  }

  /** Throws EspalierError('checkpoint') when the template refuses the conversation. */
  render(messages: readonly Message[], tools: readonly ToolDefinition[], generationPrompt: boolean): string {
    try {
      return this.#template.render({
        ...this.#tokens,
        messages: messages.map(templateMessage),
        ...(tools.length > 0 && { tools: tools.map((tool) => ({ type: 'function', function: tool })) }),
        add_generation_prompt: generationPrompt,
        // Some templates print today's date unless they are told one; a prompt must not depend on the day.
        date_string: '26 Jul 2024',
      });
    } catch (cause) {
      throw new EspalierError('checkpoint', `the chat template failed: ${messageOf(cause)}`, { cause });
    }
  }
}

function templateMessage(message: Message): Record<string, unknown> {
  switch (message.role) {
    case 'system':
    case 'user':
      return { role: message.role, content: message.content };
    case 'tool':
      return { role: 'tool', content: message.content, tool_call_id: message.toolCallId };
    case 'assistant':
      return {
        role: 'assistant',
        content: message.content,
        ...(message.toolCalls.length > 0 && {
          tool_calls: message.toolCalls.map((call) => ({
            id: call.id,
            type: 'function',
            function: { name: call.name, arguments: argumentsValue(call.arguments) },
          })),
        }),
      };
    default:
      return message satisfies never;
  }
}

/** Templates want an object; broken JSON stays the text that it is. */
function argumentsValue(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : text;
  } catch {
    return text;
  }
}
