/** The parameters of `POST /v1/messages` and what becomes of each (parameters.ts). */
import { invalid, isFlag, isNumber, isObject, isText, listAt, objectAt } from './json-reader.ts';
import { isEmptyList, type ParameterRefusals, type ParameterTable } from './parameters.ts';

export const messagesParameters: ParameterTable = {
  model: { is: 'honored', note: 'must be a name that is served' },
  messages: { is: 'honored', note: 'text, thinking, tool_use and tool_result; must end with a user message' },
  system: { is: 'honored', note: 'a string or text blocks' },
  max_tokens: { is: 'honored', note: 'required, a whole number of at least 1; the session may set a smaller one' },
  stream: { is: 'honored', note: 'must be a boolean', accepts: isFlag },
  tools: { is: 'honored', note: 'custom tools only' },
  tool_choice: { is: 'honored', note: 'auto, or none, which hides the tools', accepts: acceptsToolChoice },
  temperature: {
    is: 'recorded',
    note: 'a number; honored where the session leaves sampling to requests',
    accepts: isNumber,
  },
  top_p: { is: 'recorded', note: 'a number; honored where the session leaves sampling to requests', accepts: isNumber },
  top_k: { is: 'recorded', note: 'a number; honored where the session leaves sampling to requests', accepts: isNumber },
  thinking: { is: 'recorded', note: 'an object; the model thinks as its template says', accepts: isObject },
  output_config: { is: 'recorded', note: 'effort and task_budget; not format', accepts: acceptsOutputConfig },
  context_management: { is: 'recorded', note: 'edits of type clear_thinking only', accepts: acceptsContextManagement },
  metadata: { is: 'recorded', note: 'an object', accepts: isObject },
  cache_control: {
    is: 'recorded',
    note: 'an object, here and on blocks and tools, where it is dropped',
    accepts: isObject,
  },
  service_tier: { is: 'recorded', note: 'a string', accepts: isText },
  inference_geo: { is: 'recorded', note: 'a string', accepts: isText },
  speed: { is: 'recorded', note: 'a string', accepts: isText },
  diagnostics: { is: 'recorded', note: 'an object', accepts: isObject },
  user_profile_id: { is: 'recorded', note: 'a string', accepts: isText },
  workspace_id: { is: 'recorded', note: 'a string', accepts: isText },
  betas: { is: 'recorded', note: 'a list; the header is ignored', accepts: Array.isArray },
  stop_sequences: { is: 'honored', note: 'a list of strings, none empty; what ends there is cut before it' },
  mcp_servers: { is: 'refused', note: 'only an empty list is supported', accepts: isEmptyList },
  fallbacks: { is: 'refused', note: 'only an empty list is supported', accepts: isEmptyList },
  fallback_credit_token: { is: 'refused', note: 'is not supported' },
  container: { is: 'refused', note: 'is not supported' },
  compaction: { is: 'refused', note: 'is not supported' },
  output_format: { is: 'refused', note: 'is not supported' },
};

export const messagesRefusals: ParameterRefusals = {
  unknown: (name) => invalid(name, `${name}: Extra inputs are not permitted`),
  wrong: (name, { note }) => invalid(name, `${name}: ${note}`),
};

function acceptsToolChoice(value: unknown): boolean {
  const { type, disable_parallel_tool_use: single } = objectAt(value, 'tool_choice') as {
    readonly type?: unknown;
    readonly disable_parallel_tool_use?: unknown;
  };
  if (type === 'any' || type === 'tool') {
    throw invalid('tool_choice', `tool_choice: '${type}' is not supported: this model cannot be made to call a tool`);
  }
  if (single === true) {
    throw invalid('tool_choice', 'tool_choice: disable_parallel_tool_use is not supported with this model');
  }
  return type === 'auto' || type === 'none';
}

function acceptsOutputConfig(value: unknown): boolean {
  const { format } = objectAt(value, 'output_config') as { readonly format?: unknown };
  return format === undefined || format === null;
}

/** Thinking is never rendered again, so clearing it changes nothing; other edits change the conversation. */
function acceptsContextManagement(value: unknown): boolean {
  const { edits } = objectAt(value, 'context_management') as { readonly edits?: unknown };
  return listAt(edits ?? [], 'context_management.edits').every((edit, i) => {
    const { type } = objectAt(edit, `context_management.edits.${i}`) as { readonly type?: unknown };
    return typeof type === 'string' && type.startsWith('clear_thinking_');
  });
}
