/**
 * What is done with each parameter of `POST /v1/responses`: the table that the parser uses and docs/dialects.md prints.
 *
 * Not the meaning of the honored ones (responses.ts).
 *
 * Invariants:
 * 1. A parameter that is not in the table is refused; so is a value that would change the answer and cannot be done.
 * 2. null means that the parameter is not given.
 */
import { invalid, isFlag, isNumber, isObject, isText, type JsonObject } from './json-reader.ts';

/** `honored`: obeyed. `recorded`: a wish in the turn's record, without effect. `refused`: 400 when it asks for anything. */
export interface Treatment {
  readonly how: 'honored' | 'recorded' | 'refused';
  /** Values that are let through; all when absent. */
  readonly accepts?: (value: unknown) => boolean;
  /** Goes on after the name of the parameter, when a value is not let through. */
  readonly must?: string;
  readonly note: string;
}

const number = { how: 'recorded', accepts: isNumber, must: 'must be a number' } as const;
const text = { how: 'recorded', accepts: isText, must: 'must be a string' } as const;
const object = { how: 'recorded', accepts: isObject, must: 'must be an object' } as const;
const isPlainText = (text: unknown): boolean => {
  if (!isObject(text)) return false;
  const format = text['format'] ?? { type: 'text' };
  return isObject(format) && format['type'] === 'text';
};

export const responsesParameters: Readonly<Record<string, Treatment>> = {
  model: { how: 'honored', note: 'the one that is served; others get 404' },
  input: { how: 'honored', note: 'a string or items, see below' },
  instructions: { how: 'honored', note: 'begins the system message; of this request only' },
  previous_response_id: { how: 'honored', note: 'a reply of the same session that was not asked with `store: false`' },
  store: {
    how: 'honored',
    accepts: isFlag,
    must: 'must be a boolean',
    note: '`false`: cannot be referred to later',
  },
  tools: { how: 'honored', note: 'see below' },
  tool_choice: {
    how: 'honored',
    accepts: (value) => value === 'auto' || value === 'none',
    must: `must be 'auto' or 'none'`,
    note: '`auto`; `none` hides the tools; nothing can be forced',
  },
  max_output_tokens: { how: 'honored', note: 'can only lower the limit of the session' },
  stream: { how: 'honored', accepts: isFlag, must: 'must be a boolean', note: 'events instead of one JSON value' },
  temperature: { ...number, note: 'the session owns sampling' },
  top_p: { ...number, note: 'the session owns sampling' },
  parallel_tool_calls: {
    how: 'recorded',
    accepts: isFlag,
    must: 'must be a boolean',
    note: 'a turn may hold several calls whatever it says',
  },
  max_tool_calls: { ...number, note: 'limits hosted tools, and there are none' },
  reasoning: { ...object, note: 'the model thinks as it was trained to' },
  text: {
    how: 'recorded',
    accepts: isPlainText,
    must: `must have the format 'text'`,
    note: '`verbosity`; `format` other than `text` is refused',
  },
  include: {
    how: 'recorded',
    accepts: (value) => Array.isArray(value) && !value.includes('message.output_text.logprobs'),
    must: `must be an array without 'message.output_text.logprobs'`,
    note: 'nothing more is sent; log-probabilities are refused',
  },
  metadata: { ...object, note: 'and sent back' },
  client_metadata: { ...object, note: 'Codex' },
  access_programs: { how: 'recorded', note: 'Codex' },
  stream_options: { ...object, note: 'events are never padded' },
  prompt_cache_key: { ...text, note: 'prefixes are shared without it' },
  prompt_cache_retention: { ...text, note: 'prefixes are shared without it' },
  prompt_cache_options: { how: 'recorded', note: 'prefixes are shared without it' },
  safety_identifier: { ...text, note: 'a label' },
  service_tier: { ...text, note: 'there is one' },
  user: { ...text, note: 'a label' },
  truncation: {
    how: 'refused',
    accepts: (value) => value === 'disabled',
    note: 'unless `disabled`: a conversation is sampled whole or not at all',
  },
  top_logprobs: { how: 'refused', accepts: (value) => value === 0, note: 'unless 0' },
  background: { how: 'refused', accepts: (value) => value === false, note: 'unless `false`' },
  context_management: {
    how: 'refused',
    accepts: (value) => Array.isArray(value) && value.length === 0,
    note: 'unless empty',
  },
  conversation: { how: 'refused', note: 'use `previous_response_id`, or send the items' },
  prompt: { how: 'refused', note: 'there are no stored prompts' },
  moderation: { how: 'refused', note: 'nothing is moderated' },
};

/** The recorded parameters as they were given. Throws Refusal. */
export function checkParameters(body: JsonObject): Record<string, unknown> {
  const wishes: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(body)) {
    if (!Object.hasOwn(responsesParameters, name)) {
      throw invalid(name, `Unknown parameter: '${name}'.`, 'unknown_parameter');
    }
    if (value === undefined || value === null) continue;
    const { how, accepts, must } = responsesParameters[name] as Treatment;
    const isAccepted = accepts === undefined ? how !== 'refused' : accepts(value);
    if (!isAccepted) {
      throw how === 'refused'
        ? invalid(name, `Unsupported parameter: '${name}' is not supported with this model.`, 'unsupported_parameter')
        : invalid(name, `Unsupported value: '${name}' ${must}.`, 'unsupported_value');
    }
    if (how === 'recorded') wishes[name] = value;
  }
  return wishes;
}
