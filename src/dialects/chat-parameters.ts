/**
 * The parameters of `POST /v1/chat/completions` and what becomes of each: the table that the parser obeys and
 * docs/dialects.md shows.
 *
 * Not the meaning of the honored ones (chat-completions.ts).
 *
 * Invariants:
 * 1. A parameter that is not in the table is refused; so is a value of a type that it never has.
 * 2. Nothing that changes an answer is ignored: it is honored, or refused.
 * 3. null is "not given".
 */
import { invalid, isFlag, isNumber, isObject, isText, type JsonObject } from './json-reader.ts';

export interface Treatment {
  /** `recorded`: kept with the turn as a wish, without influence on the answer. `refused`: 400 when it is used. */
  readonly is: 'honored' | 'recorded' | 'refused';
  /** False for a value that is answered with 400. */
  readonly accepts?: (value: unknown) => boolean;
  /** Goes on after the name in the error for a value that is not accepted. Refused parameters have one of their own. */
  readonly must?: string;
}

const number = { is: 'recorded', accepts: isNumber, must: 'must be a number' } as const;
const text = { is: 'recorded', accepts: isText, must: 'must be a string' } as const;
const flag = { is: 'recorded', accepts: isFlag, must: 'must be a boolean' } as const;
const object = { is: 'recorded', accepts: isObject, must: 'must be an object' } as const;
const never = (): boolean => false;

export const chatParameters: Readonly<Record<string, Treatment>> = {
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
  temperature: number,
  top_p: number,
  presence_penalty: number,
  frequency_penalty: number,
  seed: number,
  parallel_tool_calls: flag,
  reasoning_effort: text,
  verbosity: text,
  user: text,
  metadata: object,
  store: flag,
  service_tier: text,
  safety_identifier: text,
  prompt_cache_key: text,
  prompt_cache_retention: text,
  logit_bias: { is: 'refused', accepts: (value) => isObject(value) && Object.keys(value).length === 0 },
  logprobs: { is: 'refused', accepts: (value) => value === false },
  top_logprobs: { is: 'refused', accepts: (value) => value === 0 },
  response_format: { is: 'refused', accepts: (value) => isObject(value) && value['type'] === 'text' },
  modalities: {
    is: 'refused',
    accepts: (value) => Array.isArray(value) && value.every((kind) => kind === 'text'),
  },
  audio: { is: 'refused', accepts: never },
  prediction: { is: 'refused', accepts: never },
  functions: { is: 'refused', accepts: never },
  function_call: { is: 'refused', accepts: never },
  web_search_options: { is: 'refused', accepts: never },
};

/** These stand with the turn although they are honored: the session may have set a smaller limit. */
const alsoRecorded: readonly string[] = ['max_tokens', 'max_completion_tokens'];

/** Gives what is recorded. Throws Refusal. */
export function readChatParameters(body: JsonObject): Record<string, unknown> {
  const wishes: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(body)) {
    if (!Object.hasOwn(chatParameters, name)) {
      throw invalid(name, `Unrecognized request argument supplied: ${name}`, 'unknown_parameter');
    }
    if (value === undefined || value === null) continue;
    const { is, accepts, must } = chatParameters[name] as Treatment;
    if (accepts !== undefined && !accepts(value)) {
      throw is === 'refused'
        ? invalid(name, `Unsupported parameter: '${name}' is not supported with this model.`, 'unsupported_parameter')
        : invalid(name, `Unsupported value: '${name}' ${must}.`, 'unsupported_value');
    }
    if (is === 'recorded' || alsoRecorded.includes(name)) wishes[name] = value;
  }
  return wishes;
}
