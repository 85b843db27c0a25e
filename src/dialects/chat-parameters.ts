/**
 * The parameters of `POST /v1/chat/completions` and what becomes of each (parameters.ts); the meaning of the honored ones is
 * in chat-completions.ts.
 */
import { invalid, isFlag, isObject } from './json-reader.ts';
import { type ParameterRefusals, type ParameterTable, recorded, type Treatment } from './parameters.ts';
import type { Refusal } from './refusal.ts';

export const chatParameters: ParameterTable<Treatment> = {
  model: { is: 'honored' },
  messages: { is: 'honored' },
  tools: { is: 'honored' },
  tool_choice: {
    is: 'honored',
    accepts: (value) => value === 'auto' || value === 'none',
    must: `must be 'auto' or 'none'`,
  },
  stream: { is: 'honored', accepts: isFlag, must: 'must be a boolean' },
  stream_options: { is: 'honored', accepts: isObject, must: 'must be an object' },
  max_tokens: { is: 'honored' },
  max_completion_tokens: { is: 'honored' },
  n: { is: 'honored', accepts: (value) => value === 1, must: 'must be 1 with this model' },
  stop: { is: 'honored' },
  temperature: recorded.number,
  top_p: recorded.number,
  top_k: recorded.number,
  min_p: recorded.number,
  presence_penalty: recorded.number,
  frequency_penalty: recorded.number,
  seed: recorded.number,
  parallel_tool_calls: recorded.flag,
  reasoning_effort: recorded.text,
  verbosity: recorded.text,
  user: recorded.text,
  metadata: recorded.object,
  store: recorded.flag,
  service_tier: recorded.text,
  safety_identifier: recorded.text,
  prompt_cache_key: recorded.text,
  prompt_cache_retention: recorded.text,
  logit_bias: { is: 'refused', accepts: (value) => isObject(value) && Object.keys(value).length === 0 },
  logprobs: { is: 'refused', accepts: (value) => value === false },
  top_logprobs: { is: 'refused', accepts: (value) => value === 0 },
  response_format: { is: 'refused', accepts: (value) => isObject(value) && value['type'] === 'text' },
  modalities: {
    is: 'refused',
    accepts: (value) => Array.isArray(value) && value.every((kind) => kind === 'text'),
  },
  audio: { is: 'refused' },
  prediction: { is: 'refused' },
  functions: { is: 'refused' },
  function_call: { is: 'refused' },
  web_search_options: { is: 'refused' },
};

export const chatRefusals: ParameterRefusals<Treatment> = {
  unknown: (name) => invalid(name, `Unrecognized request argument supplied: ${name}`, 'unknown_parameter'),
  wrong: wrongParameter,
};

/** In the words of OpenAI's dialects. */
export function wrongParameter(name: string, { is, must }: Treatment): Refusal {
  return is === 'refused'
    ? invalid(name, `Unsupported parameter: '${name}' is not supported with this model.`, 'unsupported_parameter')
    : invalid(name, `Unsupported value: '${name}' ${must}.`, 'unsupported_value');
}
