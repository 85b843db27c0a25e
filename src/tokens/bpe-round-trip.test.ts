import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { trainBpe } from './bpe-trainer.ts';
import { compactTemplate } from './compact-template.ts';
import { loadRenderer, loadTokenizer, writeTokenizer } from './load.ts';
import { Tokenizer } from './tokenizer.ts';

const readCall = '<tool_call>{"name": "read", "arguments": {"path": "';
const addedTokens = [
  { content: '<|im_start|>', special: true },
  { content: '<|im_end|>', special: true },
  { content: readCall, special: false },
  { content: '"}}</tool_call>', special: false },
  { content: '", "line": ', special: false },
];
const corpus = [
  "function readBackupFile(maxSize) {\n  if (maxSize >= 42) return openFile('backup', maxSize);\n  return readFile(maxSize);\n}\n",
  'readBackupFile(readFile, openFile, maxSize) {\n  return maxSize;\n}\n',
];
const trained = trainBpe(corpus, { vocabSize: 700, addedTokens, eosToken: '<|im_end|>' });
const tokenizer = new Tokenizer(trained.tokenizerJson, trained.tokenizerConfig);
const pieces = (text: string): string[] => Array.from(tokenizer.encode(text), (id) => tokenizer.decode([id]));

describe('a trained byte-level BPE', () => {
  it('gives back any well-formed text', () => {
    const scrap = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom(
        ...addedTokens.map((token) => token.content),
        '  ',
        '\n\n',
        '\t',
        '\u0085',
        '\ufeff',
        'éÉ',
        '०',
        '__',
      ),
    );
    fc.assert(
      fc.property(fc.array(scrap), (scraps) => {
        const text = scraps.join('');
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }),
      { numRuns: 60 },
    );
  });

  it('streams the same text as it decodes at once, whatever the chunks', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.array(fc.integer({ min: 0, max: 5 })), (text, sizes) => {
        const ids = tokenizer.encode(text);
        const stream = tokenizer.stream();
        let streamed = '';
        let at = 0;
        for (const size of sizes) {
          streamed += stream.push(ids.subarray(at, at + size));
          at += size;
        }
        streamed += stream.push(ids.subarray(at)) + stream.end();
        expect(streamed).toBe(text);
      }),
    );
  });

  it('splits identifiers at their parts and gives a word its space', () => {
    expect(pieces('readBackupFile return maxSize')).toEqual(['read', 'Backup', 'File', ' return', ' max', 'Size']);
    expect(pieces('max_size').join('|')).toContain('max|_|s');
  });

  it('has every number from 0 to 99 as one token and splits longer ones in pairs', () => {
    for (let number = 0; number < 100; number++) expect(tokenizer.encode(String(number))).toHaveLength(1);
    expect(pieces('12345')).toEqual(['12', '34', '5']);
    expect(pieces('07')).toEqual(['07']);
  });

  it('takes the longest added token that begins leftmost, in any surroundings', () => {
    expect(pieces(`x;${readCall}a"}}</tool_call><|im_end|>`)).toEqual([
      'x',
      ';',
      readCall,
      'a',
      '"}}</tool_call>',
      '<|im_end|>',
    ]);
  });

  it('is the same for the same corpus', () => {
    expect(trainBpe(corpus, { vocabSize: 700, addedTokens, eosToken: '<|im_end|>' })).toEqual(trained);
  });

  it('refuses a vocabulary without room for bytes and numbers', () => {
    expect(() => trainBpe([], { vocabSize: 300, addedTokens, eosToken: '<|im_end|>' })).toThrow(/too small/);
    expect(() => trainBpe([], { vocabSize: 700, addedTokens, eosToken: '</s>' })).toThrow(/added tokens/);
  });

  it('decodes ids beyond the vocabulary visibly', () => {
    expect(tokenizer.decode([tokenizer.vocabSize + 3])).toBe('\ufffd');
  });
});

describe('a tokenizer folder', () => {
  it('loads what was written', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'espalier-tokens-'));
    try {
      await writeTokenizer(directory, trained, compactTemplate);
      const renderer = await loadRenderer(directory);
      expect(renderer.stopIds).toEqual([tokenizer.idOf('<|im_end|>')]);
      expect(renderer.tokenizer.encode(corpus[0] as string)).toEqual(tokenizer.encode(corpus[0] as string));
      await rm(join(directory, 'tokenizer.json'));
      await expect(loadTokenizer(directory)).rejects.toThrow(/tokenizer\.json is missing/);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
