/** What is drawn from a row of logits: frequencies, and what top-k, top-p and min-p leave of them. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { noTruncation, type Truncation } from '../core/truncation.ts';
import { loadKernelTest } from './kernel-case.ts';

const { kernels } = loadKernelTest();

interface DrawCase {
  readonly logits: Float32Array;
  readonly temperature: number;
  readonly truncation: Truncation;
}

function draw({ logits, temperature, truncation }: DrawCase, seed: bigint, position: number): number {
  const { topK, topP, minP } = truncation;
  return kernels.draw(logits, temperature, Float32Array.of(topK, topP, minP), seed, position, false);
}

/** Ids likeliest first with their tempered probabilities, in double. */
function ranked({ logits, temperature }: DrawCase): { id: number; p: number }[] {
  const highest = Math.max(...logits);
  const weights = [...logits].map((logit) => Math.exp((logit - highest) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight, id) => ({ id, p: weight / total })).sort((a, b) => b.p - a.p || a.id - b.id);
}

/** The ids that may be drawn, written down from the definition; `slack` widens or narrows what rounding may decide. */
function kept(given: DrawCase, slack: number): { id: number; p: number }[] {
  const { topK, topP, minP } = given.truncation;
  let left = ranked(given);
  if (topK > 0) left = left.slice(0, topK);
  const mass = left.reduce((sum, { p }) => sum + p, 0);
  let held = 0;
  left = left.filter(({ p }, i) => {
    const wanted = i === 0 || held < (topP + slack) * mass;
    held += p;
    return topP === 1 || wanted;
  });
  const best = left[0]?.p ?? 0;
  return left.filter(({ p }, i) => i === 0 || p >= (minP - slack) * best);
}

function frequencies(given: DrawCase, draws: number): Map<number, number> {
  const counts = new Map<number, number>();
  for (let i = 0; i < draws; i++) {
    const id = draw(given, BigInt(i >> 6), i & 63);
    counts.set(id, (counts.get(id) ?? 0) + 1 / draws);
  }
  return counts;
}

const row = fc
  .array(fc.integer({ min: -6, max: 6 }), { minLength: 1, maxLength: 300 })
  .map((halves) => Float32Array.from(halves, (half) => half / 2));
const temperature = fc.constantFrom(0.5, 1, 1.7);
const truncation = fc.record({
  topK: fc.constantFrom(0, 1, 2, 5, 40, 1000),
  topP: fc.constantFrom(1, 0.95, 0.5, 0.1),
  minP: fc.constantFrom(0, 0.02, 0.3, 1),
});
const cases = fc.record({ logits: row, temperature, truncation });

describe('draws follow the distribution', () => {
  test('at temperature 0 the lowest id of the largest logits is drawn', () => {
    const logits = Float32Array.of(1, 3, 2, 3, 3);
    expect(draw({ logits, temperature: 0, truncation: noTruncation }, 1n, 0)).toBe(1);
  });

  test('frequencies over seeds and positions match softmax of logits over temperature', () => {
    const logits = Float32Array.of(0, 1, -1, 2, 0.5, -30);
    for (const temperature of [0.5, 1, 2]) {
      const given = { logits, temperature, truncation: noTruncation };
      const counts = frequencies(given, 6000);
      for (const { id, p } of ranked(given)) expect(Math.abs((counts.get(id) ?? 0) - p)).toBeLessThan(0.03);
    }
  });

  test('a token of probability 0 is never drawn', () => {
    const logits = new Float32Array(600).fill(-1000);
    logits[77] = 5;
    for (const truncation of [noTruncation, { topK: 50, topP: 0.99, minP: 0 }]) {
      for (let i = 0; i < 200; i++) expect(draw({ logits, temperature: 1, truncation }, BigInt(i), i)).toBe(77);
    }
  });
});

describe('top-k, top-p and min-p', () => {
  test('draw only what the definition keeps, ties and all', () => {
    fc.assert(
      fc.property(cases, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (given, seed) => {
        const allowed = new Set(kept(given, 1e-6).map(({ id }) => id));
        for (let position = 0; position < 20; position++) expect(allowed).toContain(draw(given, seed, position));
      }),
      { numRuns: 150 },
    );
  });

  test('draw what is kept as often as it is probable among what is kept', () => {
    const logits = Float32Array.of(0, 1, -1, 2, 0.5, 1, -3);
    for (const truncation of [
      { topK: 3, topP: 1, minP: 0 },
      { topK: 0, topP: 0.8, minP: 0 },
      { topK: 0, topP: 1, minP: 0.2 },
      { topK: 5, topP: 0.9, minP: 0.1 },
    ]) {
      for (const temperature of [0.6, 2]) {
        const given = { logits, temperature, truncation };
        const expected = kept(given, 0);
        const total = expected.reduce((sum, { p }) => sum + p, 0);
        const counts = frequencies(given, 4000);
        expect([...counts.keys()].sort()).toEqual(expected.map(({ id }) => id).sort());
        for (const { id, p } of expected) expect(Math.abs((counts.get(id) ?? 0) - p / total)).toBeLessThan(0.03);
      }
    }
  });

  test('top-k 1, a tiny top-p and min-p 1 without ties are greedy', () => {
    fc.assert(
      fc.property(row, temperature, fc.bigInt({ min: 0n, max: 99n }), (logits, temperature, seed) => {
        const greedy = draw({ logits, temperature: 0, truncation: noTruncation }, seed, 0);
        expect(draw({ logits, temperature, truncation: { topK: 1, topP: 1, minP: 0 } }, seed, 3)).toBe(greedy);
        expect(draw({ logits, temperature, truncation: { topK: 0, topP: 1e-9, minP: 0 } }, seed, 3)).toBe(greedy);
        const single = logits.filter((logit) => logit === logits[greedy]).length === 1;
        if (single)
          expect(draw({ logits, temperature, truncation: { ...noTruncation, minP: 1 } }, seed, 3)).toBe(greedy);
      }),
    );
  });

  test('top-p counts what top-k left: the order of the filters', () => {
    // Probabilities 0.4, 0.3, 0.2, 0.1: two hold 0.75 of the first three's 0.9, and three hold 0.75 of all.
    const logits = Float32Array.from([0.4, 0.3, 0.2, 0.1], Math.log);
    const ids = (truncation: Truncation) => [...frequencies({ logits, temperature: 1, truncation }, 2000).keys()];
    expect(ids({ topK: 0, topP: 0.75, minP: 0 }).sort()).toEqual([0, 1, 2]);
    expect(ids({ topK: 3, topP: 0.75, minP: 0 }).sort()).toEqual([0, 1]);
  });
});
