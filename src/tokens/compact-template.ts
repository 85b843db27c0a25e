/**
 * The chat template of models that are trained here from random weights: ChatML with Hermes tool calls, one line each,
 * so that fixed stretches of a call can be single added tokens. Tools are not printed: such a model learned them.
 */
export const compactTemplate = `{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' + (message.content or '') -}}
{%- for call in message.tool_calls or [] -%}
{{- '<tool_call>{"name": ' + (call.function.name | tojson) + ', "arguments": ' -}}
{{- (call.function.arguments if call.function.arguments is string else call.function.arguments | tojson) + '}</tool_call>' -}}
{%- endfor -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
`;
