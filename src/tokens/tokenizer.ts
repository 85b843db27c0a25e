/**
 * Text to ids and back, for a Hugging Face `tokenizer.json`.
 *
 * Not a chat template (renderer.ts) and not a parser of tool calls (tool-calls.ts).
 *
 * Invariants:
 * 1. No special token is ever added: what is encoded is exactly the text that was given.
 * 2. Added tokens are found first, leftmost and longest, in any text: sampled text and rendered text agree on them.
 * 3. decode(encode(text)) === text for byte-level vocabularies and well-formed text, and decoding never drops an id:
 *    bytes that are not UTF-8 become U+FFFD.
 */
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { EspalierError, messageOf } from '../core/errors.ts';
import { AsideEncoder } from './aside-encoder.ts';
import { bytesOfToken } from './byte-level.ts';
import { checkTokenizerJson, type TokenizerJson } from './tokenizer-json.ts';

export type { AddedTokenJson, TokenizerJson } from './tokenizer-json.ts';

/** The part of the library that is used; its own declarations do not resolve under `nodenext`. */
interface Library {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  decode(ids: number[], options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean }): string;
}

/** What is read of a `tokenizer_config.json`. Token fields are a string or an object with `content`. */
export interface TokenizerConfigJson {
  readonly chat_template?: unknown;
  readonly [key: string]: unknown;
}

/** Characters: some 4 K tokens, and ten milliseconds. */
const asideFrom = 16_384;

export class Tokenizer {
  /** One more than the largest id. A model's own vocabulary may be padded beyond it. */
  readonly vocabSize: number;
  readonly config: TokenizerConfigJson;
  readonly #library: Library;
  readonly #aside: AsideEncoder;
  readonly #idOf = new Map<string, number>();
  readonly #special = new Set<number>();
  /** Bytes of each id, or null where the decoder is not plain byte-level and the library decodes. */
  readonly #bytes: readonly (Uint8Array | undefined)[] | null;
  /** Bytes of the longest one; infinite where one may stand for any text. */
  readonly #longestToken: number;

  /** `file` names the JSON in errors. Throws EspalierError('checkpoint') when a part of it is broken or not known. */
  constructor(given: TokenizerJson, config: TokenizerConfigJson, file = 'tokenizer.json') {
    const json = checkTokenizerJson(given, file);
    this.config = config;
    this.#aside = new AsideEncoder({ json, config });
    try {
      this.#library = new HuggingFaceTokenizer(json, config) as unknown as Library;
    } catch (cause) {
      throw new EspalierError('checkpoint', `${file} cannot be used: ${messageOf(cause)}`, { cause });
    }
    for (const [token, id] of vocabulary(json)) this.#idOf.set(token, id);
    for (const added of json.added_tokens) {
      this.#idOf.set(added.content, added.id);
      if (added.special) this.#special.add(added.id);
    }
    let size = 0;
    for (const id of this.#idOf.values()) size = Math.max(size, id + 1);
    this.vocabSize = size;
    this.#bytes = json.decoder?.type === 'ByteLevel' ? bytesById(json, size) : null;
    this.#longestToken =
      this.#bytes?.reduce((most, bytes) => Math.max(most, bytes?.length ?? 0), 1) ?? Number.POSITIVE_INFINITY;
  }

  /** No text of so many UTF-16 units has fewer tokens; white space that an added token swallows does not count. */
  leastTokens(units: number): number {
    return Math.ceil(units / this.#longestToken);
  }

  /** Shape [tokens]. The empty text has no tokens. */
  encode(text: string): Int32Array {
    return text === '' ? new Int32Array(0) : Int32Array.from(this.#library.encode(text, plainEncode).ids);
  }

  /** As encode(), but long text is encoded in another thread, so that the event loop is not kept. */
  encodeAside(text: string): Promise<Int32Array> {
    if (text.length < asideFrom) return Promise.resolve(this.encode(text));
    return this.#aside.encode(text).catch(() => this.encode(text));
  }

  /** Added and special tokens appear as their literal text. */
  decode(ids: Int32Array | readonly number[]): string {
    if (ids.length === 0) return '';
    if (this.#bytes === null) return this.#library.decode(Array.from(ids), plainDecode);
    return lossy.decode(this.#join(ids));
  }

  /** Decodes a growing completion: text comes out as soon as its characters are whole. */
  stream(): TextStream {
    if (this.#bytes === null) return new PrefixStream((ids) => this.decode(ids));
    return new ByteStream((ids) => this.#join(ids));
  }

  /** Id of a vocabulary entry or of an added token's literal text. */
  idOf(token: string): number | null {
    return this.#idOf.get(token) ?? null;
  }

  /** True for control tokens such as `<|im_end|>`, which are no part of what was said. */
  isSpecial(id: number): boolean {
    return this.#special.has(id);
  }

  /** The literal text of a token named by the configuration (`eos_token`, `bos_token`), or null. */
  namedToken(name: 'eos_token' | 'bos_token' | 'pad_token' | 'unk_token'): string | null {
    const value = this.config[name];
    if (typeof value === 'string') return value;
    if (typeof value === 'object' && value !== null && 'content' in value && typeof value.content === 'string') {
      return value.content;
    }
    return null;
  }

  #join(ids: Int32Array | readonly number[]): Uint8Array {
    const table = this.#bytes ?? [];
    let length = 0;
    for (const id of ids) length += (table[id] ?? unknownBytes).length;
    const joined = new Uint8Array(length);
    let offset = 0;
    for (const id of ids) {
      const bytes = table[id] ?? unknownBytes;
      joined.set(bytes, offset);
      offset += bytes.length;
    }
    return joined;
  }
}

/** Text of a completion as it grows. The pieces joined equal decode() of all ids. */
export interface TextStream {
  push(ids: Int32Array): string;
  /** What was held back: an unfinished character comes out as U+FFFD. */
  end(): string;
}

class ByteStream implements TextStream {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  readonly #join: (ids: Int32Array) => Uint8Array;
  constructor(join: (ids: Int32Array) => Uint8Array) {
    this.#join = join;
  }
  push(ids: Int32Array): string {
    return this.#decoder.decode(this.#join(ids), { stream: true });
  }
  end(): string {
    return this.#decoder.decode();
  }
}

/** For decoders whose text of a token depends on its neighbours: decodes everything again and gives what is new. */
class PrefixStream implements TextStream {
  readonly #decode: (ids: number[]) => string;
  readonly #ids: number[] = [];
  #given = 0;
  constructor(decode: (ids: number[]) => string) {
    this.#decode = decode;
  }
  push(ids: Int32Array): string {
    this.#ids.push(...ids);
    const text = this.#decode(this.#ids);
    if (text.endsWith('\ufffd')) return '';
    return this.#give(text);
  }
  end(): string {
    return this.#give(this.#decode(this.#ids));
  }
  #give(text: string): string {
    const fresh = text.slice(this.#given);
    this.#given = text.length;
    return fresh;
  }
}

const lossy = new TextDecoder('utf-8', { ignoreBOM: true });
const plainEncode = { add_special_tokens: false };
const plainDecode = { skip_special_tokens: false, clean_up_tokenization_spaces: false };
const unknownBytes = new TextEncoder().encode('\ufffd');

/** Unigram models list pieces in an array; their ids are positions. */
function vocabulary(json: TokenizerJson): [string, number][] {
  const vocab: unknown = json.model.vocab;
  if (!Array.isArray(vocab)) return Object.entries(json.model.vocab);
  return vocab.map((piece: unknown, id): [string, number] => [String(Array.isArray(piece) ? piece[0] : piece), id]);
}

function bytesById(json: TokenizerJson, size: number): (Uint8Array | undefined)[] | null {
  const table = new Array<Uint8Array | undefined>(size).fill(undefined);
  for (const [token, id] of vocabulary(json)) {
    const bytes = bytesOfToken(token);
    if (bytes !== null) table[id] = bytes;
  }
  const utf8 = new TextEncoder();
  for (const added of json.added_tokens) table[added.id] = utf8.encode(added.content);
  return table;
}
