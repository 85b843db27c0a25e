/**
 * Ids and log-probabilities where an upstream tells them.
 *
 * vLLM does with `return_token_ids` and `logprobs`: `prompt_token_ids` beside the choices (chat) or in them (text),
 * `token_ids` in each choice. Ids may also come as the names of the tokens: `token_id:123`.
 */
import type { RelayedTokens } from './format.ts';
import { type Fields, fieldsOf, listOf } from './lenient.ts';

/** Null unless ids of both sides and a log-probability for each sampled one are there. */
export function tokensOf(body: Fields, choice: Fields): RelayedTokens | null {
  const prompt = idsOf(choice['prompt_token_ids'] ?? body['prompt_token_ids']);
  const { content, token_logprobs, tokens } = fieldsOf(choice['logprobs']);
  const details = listOf(content).map(fieldsOf);
  const logprobs = numbersOf(token_logprobs) ?? numbersOf(details.map(({ logprob }) => logprob));
  const completion =
    idsOf(choice['token_ids']) ?? namedIds(listOf(tokens)) ?? namedIds(details.map(({ token }) => token));
  if (prompt === null || completion === null || logprobs === null) return null;
  if (prompt.length === 0 || completion.length === 0 || completion.length !== logprobs.length) return null;
  return { prompt, completion, logprobs: Float32Array.from(logprobs) };
}

function numbersOf(value: unknown): readonly number[] | null {
  const list = listOf(value);
  return list.length > 0 && list.every((each) => typeof each === 'number' && Number.isFinite(each))
    ? (list as readonly number[])
    : null;
}

function idsOf(value: unknown): Int32Array | null {
  const ids = numbersOf(value);
  return ids?.every((id) => Number.isInteger(id) && id >= 0 && id < 2 ** 31) ? Int32Array.from(ids) : null;
}

function namedIds(names: readonly unknown[]): Int32Array | null {
  return idsOf(names.map((name) => Number(/^token_id:(\d+)$/.exec(String(name))?.[1] ?? Number.NaN)));
}
