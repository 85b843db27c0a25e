import { describe, expect, it } from 'vitest';
import { Random, seedOf } from '../core/random.ts';
import { loadNative } from '../native/native.ts';
import { randomTensors, tinyShape } from '../native/train-case.ts';
import { batchOf, flattened, forkingGroups, makeTrie, planOf, sharedPrompts } from './made-trie.ts';
import { forwardWork, visiblePairs } from './work.ts';

const random = () => new Random(seedOf('made trie'));

describe('a made-up trie', () => {
  it('has the loss of its flat form, where targets are shared too', async () => {
    const draw = random();
    const spans = forkingGroups(2, 0.5, draw);
    const trie = makeTrie(spans, tinyShape.vocabSize, draw);
    const native = loadNative();
    const trainer = native.createTrainer(native.createWeights(tinyShape, randomTensors(tinyShape, draw)));
    const [tree, flat] = [planOf(batchOf(trie)), planOf(batchOf(flattened(trie)))];
    expect(flat.tokens.length).toBeGreaterThan(1.5 * tree.tokens.length);
    expect(Math.max(...tree.termCount)).toBeGreaterThan(1);
    const [a, b] = [await native.train(trainer, tree), await native.train(trainer, flat)];
    expect(Math.abs(a.loss / b.loss - 1)).toBeLessThan(1e-6);
    expect(Math.abs(a.gradientNorm / b.gradientNorm - 1)).toBeLessThan(1e-4);
  });

  it('deals its paths over groups and makes every path as long as the context', () => {
    const trie = makeTrie(sharedPrompts(2, 5, 100, 10), 50, random());
    const flat = flattened(trie);
    expect(trie.tokens.length).toBe(2 * 90 + 5 * 10);
    expect(flat.spanParent).toHaveLength(5);
    expect(flat.tokens.length).toBe(5 * 100);
    expect(trie.learned.reduce((sum, one) => sum + one, 0)).toBe(50);
  });
});

describe('work', () => {
  // Paths of 5: a prompt of 3, twice 2 tokens of their own.
  const trie = makeTrie(sharedPrompts(1, 2, 5, 2), 7, random());

  it('counts the pairs that a query sees, its own included', () => {
    expect(visiblePairs(trie)).toBe(1 + 2 + 3 + 2 * (4 + 5));
    expect(visiblePairs(flattened(trie))).toBe(2 * (1 + 2 + 3 + 4 + 5));
  });

  it('counts matrices by token, attention by pair, logits by row with a term', () => {
    const shape = { ...tinyShape, layerCount: 2, hiddenSize: 3, intermediateSize: 5, headCount: 2, kvHeadCount: 1 };
    const work = forwardWork(batchOf(trie), { ...shape, headDim: 4, vocabSize: 7 });
    const layer = 3 * 8 + 2 * 3 * 4 + 8 * 3 + 3 * 3 * 5;
    expect(work.matrices).toBe(2 * 2 * layer * 7);
    expect(work.attention).toBe(2 * (2 * 2 * 8) * 24);
    // The prompt's last token, which predicts both first tokens, and the first token of each leaf.
    expect(work.logits).toBe(2 * 3 * 7 * 3);
  });
});
