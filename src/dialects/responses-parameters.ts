/** The parameters of `POST /v1/responses` and what becomes of each (parameters.ts); their meaning is in responses.ts. */
import { wrongParameter } from './chat-parameters.ts';
import { invalid, isFlag, isObject } from './json-reader.ts';
import { isEmptyList, type ParameterRefusals, type ParameterTable, recorded } from './parameters.ts';

const isPlainText = (value: unknown): boolean => {
  if (!isObject(value)) return false;
  const format = value['format'] ?? { type: 'text' };
  return isObject(format) && format['type'] === 'text';
};

export const responsesParameters: ParameterTable = {
  model: { is: 'honored', note: 'the one that is served; others get 404' },
  input: { is: 'honored', note: 'a string or items, see below' },
  instructions: { is: 'honored', note: 'begins the system message; of this request only' },
  previous_response_id: { is: 'honored', note: 'a reply of the same session that was not asked with `store: false`' },
  store: {
    is: 'honored',
    accepts: isFlag,
    must: 'must be a boolean',
    note: '`false`: cannot be referred to later',
  },
  tools: { is: 'honored', note: 'see below' },
  tool_choice: {
    is: 'honored',
    accepts: (value) => value === 'auto' || value === 'none',
    must: `must be 'auto' or 'none'`,
    note: '`auto`; `none` hides the tools; nothing can be forced',
  },
  max_output_tokens: { is: 'honored', note: 'can only lower the limit of the session' },
  stream: { is: 'honored', accepts: isFlag, must: 'must be a boolean', note: 'events instead of one JSON value' },
  temperature: { ...recorded.number, note: 'honored where the session leaves sampling to requests' },
  top_p: { ...recorded.number, note: 'honored where the session leaves sampling to requests' },
  parallel_tool_calls: { ...recorded.flag, note: 'a turn may hold several calls whatever it says' },
  max_tool_calls: { ...recorded.number, note: 'limits hosted tools, and there are none' },
  reasoning: { ...recorded.object, note: 'the model thinks as it was trained to' },
  text: {
    is: 'recorded',
    accepts: isPlainText,
    must: `must have the format 'text'`,
    note: '`verbosity`; `format` other than `text` is refused',
  },
  include: {
    is: 'recorded',
    accepts: (value) => Array.isArray(value) && !value.includes('message.output_text.logprobs'),
    must: `must be an array without 'message.output_text.logprobs'`,
    note: 'nothing more is sent; log-probabilities are refused',
  },
  metadata: { ...recorded.object, note: 'and sent back' },
  client_metadata: { ...recorded.object, note: 'Codex' },
  access_programs: { is: 'recorded', note: 'Codex' },
  stream_options: { ...recorded.object, note: 'events are never padded' },
  prompt_cache_key: { ...recorded.text, note: 'prefixes are shared without it' },
  prompt_cache_retention: { ...recorded.text, note: 'prefixes are shared without it' },
  prompt_cache_options: { is: 'recorded', note: 'prefixes are shared without it' },
  safety_identifier: { ...recorded.text, note: 'a label' },
  service_tier: { ...recorded.text, note: 'there is one' },
  user: { ...recorded.text, note: 'a label' },
  truncation: {
    is: 'refused',
    accepts: (value) => value === 'disabled',
    note: 'unless `disabled`: a conversation is sampled whole or not at all',
  },
  top_logprobs: { is: 'refused', accepts: (value) => value === 0, note: 'unless 0' },
  background: { is: 'refused', accepts: (value) => value === false, note: 'unless `false`' },
  context_management: { is: 'refused', accepts: isEmptyList, note: 'unless empty' },
  conversation: { is: 'refused', note: 'use `previous_response_id`, or send the items' },
  prompt: { is: 'refused', note: 'there are no stored prompts' },
  moderation: { is: 'refused', note: 'nothing is moderated' },
};

export const responsesRefusals: ParameterRefusals = {
  unknown: (name) => invalid(name, `Unknown parameter: '${name}'.`, 'unknown_parameter'),
  wrong: wrongParameter,
};
