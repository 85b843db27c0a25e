/**
 * Trains a byte-level BPE vocabulary and gives it as a Hugging Face `tokenizer.json`.
 *
 * Not fast for gigabytes: corpora of some tens of megabytes take seconds.
 *
 * Invariants:
 * 1. Any text has an encoding: all 256 bytes are in the vocabulary, ids 0 to 255 in byte order.
 * 2. Every number of one or two digits is one token, longer ones are split in pairs from the left.
 * 3. Identifiers fall apart at their parts: `readBackupFile` is read + Backup + File, `max_size` is max + _ + size.
 *    One space before a word or a sign belongs to it.
 * 4. Equal corpora and options give equal bytes.
 * 5. What is split for training is split by the same library code that splits for encoding.
 */
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { EspalierError } from '../core/errors.ts';
import { characterOfByte } from './byte-level.ts';
import type { AddedTokenJson, TokenizerConfigJson, TokenizerJson } from './tokenizer.ts';

export interface AddedToken {
  /** Matched literally, before anything else, in sampled and in rendered text alike. */
  readonly content: string;
  /** Control tokens (`<|im_end|>`) are special; fixed stretches of text (`"}}</tool_call>`) are not. */
  readonly special: boolean;
}

export interface BpeOptions {
  /** Upper bound of the whole vocabulary, added tokens included. Fewer when no pair is frequent enough. */
  readonly vocabSize: number;
  readonly addedTokens: readonly AddedToken[];
  /** A pair is merged when it occurs at least so often. Default 2. */
  readonly minFrequency?: number;
  /** Ends a turn: `eos_token`. Must be one of the added tokens. */
  readonly eosToken: string;
  readonly padToken?: string;
  /** Written as `model_max_length`. */
  readonly contextLength?: number;
}

export interface TrainedBpe {
  readonly tokenizerJson: TokenizerJson;
  readonly tokenizerConfig: TokenizerConfigJson;
}

const lower = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';
const upper = '[\\p{Lu}\\p{Lt}]';
/** In the dialect that both Oniguruma (Rust tokenizers) and this library read. Every character falls in one branch. */
const splitPattern = [
  ` ?${upper}?${lower}+`,
  ` ?${upper}+(?!${lower})`,
  '[0-9]{1,2}',
  ' ?[^\\s\\p{L}\\p{M}0-9]+',
  '\\s+(?!\\S)',
  '\\s+',
].join('|');

const preTokenizer = {
  type: 'Sequence',
  pretokenizers: [
    { type: 'Split', pattern: { Regex: splitPattern }, behavior: 'Isolated', invert: false },
    { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
  ],
};
const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false };

/** Throws EspalierError('config') when the options leave no room or name a token that is not added. */
export function trainBpe(corpus: Iterable<string>, options: BpeOptions): TrainedBpe {
  check(options);
  const vocabulary = characterOfByte.slice();
  const merges: [string, string][] = [];
  const merge = (left: string, right: string): number => {
    merges.push([left, right]);
    return vocabulary.push(left + right) - 1;
  };
  for (let pair = 0; pair < 100; pair++) merge(String(Math.floor(pair / 10)), String(pair % 10));

  const room = options.vocabSize - options.addedTokens.length - vocabulary.length;
  const words = new Words(countPieces(corpus, options.addedTokens));
  for (let i = 0; i < room; i++) {
    const best = words.best(options.minFrequency ?? 2);
    if (best === null) break;
    words.apply(best, merge(vocabulary[best.left] as string, vocabulary[best.right] as string));
  }
  return files(vocabulary, merges, options);
}

function check(options: BpeOptions): void {
  const contents = options.addedTokens.map((token) => token.content);
  if (new Set(contents).size !== contents.length || contents.includes('')) {
    throw new EspalierError('config', 'added tokens must be different and not empty');
  }
  for (const name of [options.eosToken, options.padToken ?? options.eosToken]) {
    if (!contents.includes(name)) throw new EspalierError('config', `${name} must be one of the added tokens`);
  }
  const least = 356 + contents.length;
  if (options.vocabSize < least) {
    throw new EspalierError(
      'config',
      `vocabSize ${options.vocabSize} is too small: bytes, pairs of digits and added tokens need ${least}`,
    );
  }
}

/** How often each piece of text occurs, in byte-level characters, numbers left out since their merges are given. */
function countPieces(corpus: Iterable<string>, addedTokens: readonly AddedToken[]): Map<string, number> {
  const longestFirst = addedTokens.map((token) => token.content).sort((a, b) => b.length - a.length);
  const added = new RegExp(longestFirst.map((content) => escaped(content)).join('|'), 'gu');
  const split = splitter();
  const counts = new Map<string, number>();
  for (const text of corpus) {
    for (const stretch of longestFirst.length === 0 ? [text] : text.split(added)) {
      if (stretch === '') continue;
      for (const piece of split(stretch)) {
        if (!/^[0-9]/.test(piece)) counts.set(piece, (counts.get(piece) ?? 0) + 1);
      }
    }
  }
  return counts;
}

const escaped = (literal: string): string => literal.replace(/[\\^$.*+?()[\]{}|/]/gu, '\\$&');

function splitter(): (text: string) => string[] {
  const bare = {
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: preTokenizer,
    post_processor: null,
    decoder: byteLevel,
    model: { type: 'BPE', vocab: {}, merges: [] },
  };
  const library = new HuggingFaceTokenizer(bare, {}) as unknown as { pre_tokenizer: (text: string) => string[] };
  return library.pre_tokenizer;
}

interface Pair {
  readonly left: number;
  readonly right: number;
}

/** Distinct pieces as sequences of symbols, with the counts of all neighbouring pairs kept up to date. */
class Words {
  readonly #symbols: number[][] = [];
  readonly #counts: number[] = [];
  readonly #pairs = new Map<
    number,
    { readonly left: number; readonly right: number; count: number; readonly words: Set<number> }
  >();

  constructor(pieces: ReadonlyMap<string, number>) {
    const idOf = new Map(characterOfByte.map((character, id): [string, number] => [character, id]));
    for (const [piece, count] of pieces) {
      const word = this.#symbols.push(Array.from(piece, (character) => idOf.get(character) as number)) - 1;
      this.#counts.push(count);
      this.#count(word, 1);
    }
  }

  /** The most frequent pair; of equals the one with the smallest ids. */
  best(minFrequency: number): Pair | null {
    let best: { left: number; right: number; count: number } | null = null;
    for (const pair of this.#pairs.values()) {
      if (pair.count < minFrequency || (best !== null && pair.count < best.count)) continue;
      if (best === null || pair.count > best.count || key(pair.left, pair.right) < key(best.left, best.right))
        best = pair;
    }
    return best;
  }

  apply(pair: Pair, merged: number): void {
    const words = [...(this.#pairs.get(key(pair.left, pair.right))?.words ?? [])];
    for (const word of words) {
      this.#count(word, -1);
      const symbols = this.#symbols[word] as number[];
      const next: number[] = [];
      for (let i = 0; i < symbols.length; i++) {
        if (symbols[i] === pair.left && symbols[i + 1] === pair.right) {
          next.push(merged);
          i++;
        } else next.push(symbols[i] as number);
      }
      this.#symbols[word] = next;
      this.#count(word, 1);
    }
  }

  #count(word: number, sign: 1 | -1): void {
    const symbols = this.#symbols[word] as number[];
    const weight = (this.#counts[word] as number) * sign;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const left = symbols[i] as number;
      const right = symbols[i + 1] as number;
      const id = key(left, right);
      let pair = this.#pairs.get(id);
      if (pair === undefined) {
        pair = { left, right, count: 0, words: new Set() };
        this.#pairs.set(id, pair);
      }
      pair.count += weight;
      if (sign === 1) pair.words.add(word);
      else if (pair.count === 0) this.#pairs.delete(id);
    }
  }
}

const key = (left: number, right: number): number => left * 0x100000 + right;

function files(vocabulary: readonly string[], merges: readonly [string, string][], options: BpeOptions): TrainedBpe {
  const vocab = Object.fromEntries(vocabulary.map((token, id): [string, number] => [token, id]));
  const added = options.addedTokens.map(
    (token, i): AddedTokenJson => ({
      id: vocabulary.length + i,
      content: token.content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: token.special,
    }),
  );
  const tokenizerJson = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: preTokenizer,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
  const tokenizerConfig: TokenizerConfigJson = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    clean_up_tokenization_spaces: false,
    add_prefix_space: false,
    eos_token: options.eosToken,
    pad_token: options.padToken ?? options.eosToken,
    model_max_length: options.contextLength ?? 4096,
    added_tokens_decoder: Object.fromEntries(added.map(({ id, ...rest }) => [String(id), rest])),
  };
  return { tokenizerJson, tokenizerConfig };
}
