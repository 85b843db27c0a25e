/**
 * What is read of a `tokenizer.json`, checked: the library trusts its input, and sizes tables by the ids in it.
 *
 * Not covered: the parts that only the library reads (normalizer, merges, ...); what it throws at them is caught where
 * it is built.
 */
import { EspalierError } from '../core/errors.ts';

export interface AddedTokenJson {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

/** Every key that is not here goes to the library as it is. */
export interface TokenizerJson {
  readonly added_tokens: readonly AddedTokenJson[];
  readonly normalizer: unknown;
  readonly pre_tokenizer: unknown;
  readonly post_processor: unknown;
  readonly decoder: { readonly type: string } | null;
  readonly model: { readonly type?: string; readonly vocab: Readonly<Record<string, number>> };
}

/** As the kernels (native/binding/handles.cc): more is no vocabulary. */
const mostIds = 1 << 22;

type Fields = Readonly<Record<string, unknown>>;

/** `file` names it in errors. Throws EspalierError('checkpoint'). */
export function checkTokenizerJson(json: unknown, file: string): TokenizerJson {
  if (!isObject(json)) throw unusable(file, 'it holds no JSON object');
  const {
    added_tokens: added = [],
    model,
    decoder = null,
  } = json as Fields & {
    readonly added_tokens?: unknown;
    readonly model?: unknown;
    readonly decoder?: unknown;
  };
  if (!Array.isArray(added)) throw unusable(file, 'added_tokens is no list');
  for (const [i, token] of added.entries()) {
    const { id, content } = (isObject(token) ? token : {}) as { readonly id?: unknown; readonly content?: unknown };
    if (typeof content !== 'string') throw unusable(file, `added_tokens[${i}] has no content`);
    checkId(id, `added_tokens[${i}]`, file);
  }
  if (!isObject(model)) throw unusable(file, 'it has no model');
  const { vocab } = model as Fields & { readonly vocab?: unknown };
  if (Array.isArray(vocab)) {
    if (vocab.length > mostIds) throw unusable(file, `model.vocab has ${vocab.length} pieces, more than ${mostIds}`);
  } else if (isObject(vocab)) {
    for (const [token, id] of Object.entries(vocab))
      checkId(id, `model.vocab of ${JSON.stringify(token.slice(0, 40))}`, file);
  } else throw unusable(file, 'model.vocab is neither an object nor a list');
  if (decoder !== null && !(isObject(decoder) && typeof (decoder as { type?: unknown }).type === 'string')) {
    throw unusable(file, 'decoder has no type');
  }
  return { ...json, added_tokens: added, decoder } as unknown as TokenizerJson;
}

function checkId(id: unknown, of: string, file: string): void {
  if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < mostIds) return;
  throw unusable(file, `the id of ${of} is not a whole number from 0 to ${mostIds - 1}`);
}

function unusable(file: string, what: string): EspalierError {
  return new EspalierError('checkpoint', `${file} cannot be used: ${what}; fetch the tokenizer files anew`);
}

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
