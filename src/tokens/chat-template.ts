/**
 * A model's chat template (Jinja), fed with messages in the form that Hugging Face documents.
 *
 * Not incremental and not trusted to be so: renderer.ts builds on it and bridge-check.ts proves it.
 */
import { Template } from '@huggingface/jinja';
import { EspalierError, messageOf } from '../core/errors.ts';
import { nestsDeeper } from '../core/json-depth.ts';
import type { Message } from '../core/message.ts';
import type { ToolDefinition } from '../core/tool.ts';

/** Texts of named tokens that templates refer to. */
export interface TemplateTokens {
  readonly bos_token: string | null;
  readonly eos_token: string | null;
}

/** As deep as the body of a request may be. */
const mostLevels = 200;
/** A template is a program of whoever made the model: `range` is its only way to loop without end. */
const mostRanged = 100_000;
const mostText = 256 << 20;
const prelude = new Template('{% set range = bounded_range %}');

export class ChatTemplate {
  readonly #template: Template;
  readonly #tokens: Readonly<Record<string, string>>;

  /** Throws EspalierError('checkpoint') when the template does not parse. */
  constructor(source: string, tokens: TemplateTokens) {
    try {
      this.#template = new Template(source);
      this.#template.parsed.body.unshift(...prelude.parsed.body);
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
      const text = this.#template.render({
        bounded_range: boundedRange(mostRanged),
        ...this.#tokens,
        messages: messages.map(templateMessage),
        ...(tools.length > 0 && { tools: tools.map((tool) => ({ type: 'function', function: tool })) }),
        add_generation_prompt: generationPrompt,
        // Some templates print today's date unless they are told one; a prompt must not depend on the day.
        date_string: '26 Jul 2024',
      });
      if (text.length > mostText) throw new RangeError(`it writes ${text.length} characters`);
      return text;
    } catch (cause) {
      throw new EspalierError('checkpoint', `the chat template failed: ${messageOf(cause)}`, { cause });
    }
  }
}

/** Jinja's, for `budget` items in all. */
function boundedRange(budget: number): (from: number, to?: number, step?: number) => number[] {
  let left = budget;
  return (from, to, step = 1) => {
    const [start, end] = to === undefined ? [0, from] : [from, to];
    const length = Math.max(0, Math.ceil((end - start) / step));
    left -= length;
    if (!(left >= 0)) throw new RangeError(`its loops over range() are longer than ${budget} steps`);
    return Array.from({ length }, (_, i) => start + i * step);
  };
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

/** Templates want an object; broken JSON, and what is too deep for a template to print, stays the text that it is. */
function argumentsValue(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !nestsDeeper(value, mostLevels) ? value : text;
  } catch {
    return text;
  }
}
