/**
 * The text form of the seedling model: its chat template and the fixed stretches that are one token each, so that a
 * read costs five sampled tokens instead of thirty. Hermes tool calls on the wire of a 1,200-token vocabulary.
 *
 * Real Hugging Face files are written from these; nothing else in Espalier knows them.
 */
export const endToken = '<|end|>';
export const padToken = '<|pad|>';

export const specialTokens = [padToken, endToken, '<|system|>', '<|user|>', '<|assistant|>', '<|tool|>'] as const;

const call = (name: string, rest: string): string => `<tool_call>{"name": "${name}", "arguments": {${rest}`;

/** Stretches that never vary. Plain added tokens: they survive decoding. */
export const fixedStretches = [
  call('read', '"path": "'),
  call('edit', '"path": "'),
  `${call('test', '')}}}</tool_call>`,
  `${call('list', '')}}}</tool_call>`,
  `${call('finish', '')}}}</tool_call>`,
  '"}}</tool_call>',
  '", "line": ',
  ', "new": "',
  // Stretches of the repositories and of what the tools say.
  'Repair the code. It must do:\nsrc/',
  'src/',
  '.js',
  ".js');",
  " = require('./",
  'exports.',
  'const ',
  'main.test.js > ',
  ': expected ',
  ', got ',
  'failed ',
  ' of ',
] as const;

/** Append-only: no message is rendered otherwise when others follow it. Tools are named, not described. */
export const chatTemplate = `{%- for message in messages -%}
{%- if message.role == 'assistant' -%}
<|assistant|>{{ message.content or '' }}
{%- for call in message.tool_calls or [] -%}
<tool_call>{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}</tool_call>
{%- endfor -%}
{%- else -%}
<|{{ message.role }}|>{{ message.content }}
{%- if message.role == 'system' and tools %} Tools:{% for tool in tools %} {{ tool.function.name }}{% endfor %}{% endif -%}
{%- endif -%}
<|end|>
{%- endfor -%}
{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}
`;
