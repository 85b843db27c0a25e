import { expect, it } from 'vitest';
import { trainBpe } from './bpe-trainer.ts';
import { Tokenizer } from './tokenizer.ts';

const addedTokens = ['<|im_start|>', '<|im_end|>'].map((content) => ({ content, special: true }));
const trained = trainBpe(['read the file '.repeat(4)], { vocabSize: 400, addedTokens, eosToken: '<|im_end|>' });
const tokenizer = new Tokenizer(trained.tokenizerJson, trained.tokenizerConfig);

it('gives the same ids as here, for long and short text, in any order', async () => {
  const texts = [40_000, 5, 30_000, 0, 20_000].map((length, i) =>
    `<|im_start|>read ${i} é 漢 the file<|im_end|>\n`.repeat(Math.ceil(length / 30)).slice(0, length),
  );
  const aside = await Promise.all(texts.map((text) => tokenizer.encodeAside(text)));
  expect(aside).toEqual(texts.map((text) => tokenizer.encode(text)));
});

it('leaves the event loop to others meanwhile', async () => {
  const text = 'read the file, and then another one. '.repeat(8000);
  let turns = 0;
  let done = false;
  const count = (): void => {
    turns++;
    if (!done) setImmediate(count);
  };
  count();
  await tokenizer.encodeAside(text);
  done = true;
  expect(turns).toBeGreaterThan(10);
});
