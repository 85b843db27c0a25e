import { afterEach, describe, expect, test } from 'vitest';
import { Random, seedOf } from '../core/random.ts';
import { bitsOf, eachSet, loadKernelTest, randomFloats, useBestSet } from './kernel-case.ts';

const { kernels } = loadKernelTest();
const sets = eachSet(kernels);
afterEach(() => useBestSet(kernels));

/** No filter of draws. */
const whole = new Float32Array(0);
const unscaled = new Float32Array(0);
/** Llama 3.2's. */
const llama3 = Float32Array.of(32, 1, 4, 8192);

function joined(...parts: Float32Array[]): Float32Array {
  return Float32Array.from(parts.flatMap((part) => [...part]));
}

for (const { set, missing, note } of sets) {
  describe(`on ${set}, every kernel has the bits of its scalar twin${note}`, () => {
    /** Runs `compute` as the scalar twin and on the set; both must give the same bits. */
    const expectTwin = (compute: (scalar: boolean) => Float32Array, label: string): void => {
      kernels.useIsa(set);
      expect(bitsOf(compute(false)) === bitsOf(compute(true)), label).toBe(true);
    };

    test.skipIf(missing)('gemm, for odd sizes, chains past 256, both packings, stored and added', () => {
      const random = new Random(seedOf('gemm'));
      const inner = [1, 15, 16, 255, 256, 257, 520];
      for (const [at, m] of [1, 2, 3, 4, 5, 6, 7, 13, 23, 100, 205].entries()) {
        for (const n of [1, 16, 33, 70, 81]) {
          const k = inner[(at + n) % inner.length] ?? 1;
          const a = randomFloats(random, m * k);
          const w = randomFloats(random, n * k);
          const start = randomFloats(random, m * n);
          const transposed = random.chance(0.5);
          for (const add of [false, true]) {
            expectTwin((scalar) => {
              const c = start.slice();
              kernels.gemm(a, w, c, m, n, k, add, transposed, scalar);
              return c;
            }, `m ${m}, n ${n}, k ${k}, add ${add}, transposed ${transposed}`);
          }
        }
      }
    });

    test.skipIf(missing)(
      'attention, over block and chain borders, grouped heads and head sizes that fill no lane',
      () => {
        const random = new Random(seedOf('attention'));
        const cases = [
          [1, 0, 1, 1, 8],
          [1, 63, 4, 2, 32],
          [1, 64, 4, 4, 24],
          [1, 256, 4, 2, 32],
          [1, 600, 6, 2, 16],
          [5, 250, 3, 3, 20],
          [7, 0, 4, 2, 32],
          [70, 30, 2, 1, 40],
          [9, 255, 7, 1, 12],
          [3, 511, 2, 2, 64],
          [2, 40, 2, 1, 264],
          [11, 15, 5, 5, 6],
        ] as const;
        for (const [rows, first, heads, kvHeads, dim] of cases) {
          const positions = first + rows;
          const q = randomFloats(random, rows * heads * dim, 3);
          const keys = randomFloats(random, positions * kvHeads * dim, 3);
          const values = randomFloats(random, positions * kvHeads * dim);
          const scale = 1 / Math.sqrt(dim);
          expectTwin((scalar) => {
            const out = new Float32Array(rows * heads * dim);
            const maxima = new Float32Array(rows * heads);
            const sums = new Float32Array(rows * heads);
            kernels.attention(q, keys, values, rows, first, heads, kvHeads, dim, scale, out, maxima, sums, scalar);
            return joined(out, maxima, sums);
          }, `rows ${rows}, first ${first}, heads ${heads}/${kvHeads}, headDim ${dim}`);
        }
      },
    );

    test.skipIf(missing)('rmsNorm, swiglu and rope, for every width from 1 to 70', () => {
      const random = new Random(seedOf('rows'));
      const table = kernels.ropeTable(100, 140, 10_000, unscaled, false);
      for (let width = 1; width <= 70; width++) {
        const rows = random.between(1, 4);
        const x = randomFloats(random, rows * 2 * width, 20);
        const gain = randomFloats(random, width);
        expectTwin((scalar) => {
          const y = new Float32Array(rows * width);
          const inverse = new Float32Array(rows);
          kernels.rmsNorm(x, gain, rows, width, 1e-6, y, inverse, scalar);
          return joined(y, inverse);
        }, `rmsNorm ${width}`);
        expectTwin((scalar) => {
          const y = new Float32Array(rows * width);
          kernels.swiglu(x, rows, width, y, scalar);
          return y;
        }, `swiglu ${width}`);
        for (const sign of [1, -1]) {
          expectTwin((scalar) => {
            const y = new Float32Array(rows * 2 * width);
            kernels.rope(x, table.subarray(0, 70), table.subarray(7000, 7070), rows, 2 * width, sign, y, scalar);
            return y;
          }, `rope ${width}`);
        }
      }
    });

    test.skipIf(missing)('biases added and their gradients summed, for every width from 1 to 70', () => {
      const random = new Random(seedOf('bias'));
      for (let width = 1; width <= 70; width++) {
        const rows = random.between(1, 130);
        const bias = randomFloats(random, width);
        const matrix = randomFloats(random, rows * width, 20);
        expectTwin((scalar) => {
          const c = matrix.slice();
          kernels.addBias(bias, rows, width, c, scalar);
          return c;
        }, `addBias ${rows} x ${width}`);
        expectTwin((scalar) => {
          const gradient = bias.slice();
          kernels.addRowSums(matrix, rows, width, gradient, scalar);
          return gradient;
        }, `addRowSums ${rows} x ${width}`);
      }
    });

    test.skipIf(missing)('outer products, for odd sizes and more outputs than a block', () => {
      const random = new Random(seedOf('outer products'));
      const sizes = [
        [1, 1, 1],
        [5, 11, 15],
        [37, 13, 48],
        [128, 26, 33],
        [60, 403, 50],
        [9, 900, 16],
      ] as const;
      for (const [rows, outputs, inputs] of sizes) {
        const dy = randomFloats(random, rows * outputs);
        const x = randomFloats(random, rows * inputs);
        const start = randomFloats(random, outputs * inputs);
        expectTwin((scalar) => {
          const gradient = start.slice();
          kernels.addOuterProducts(dy, x, rows, outputs, inputs, gradient, scalar);
          return gradient;
        }, `rows ${rows}, ${outputs} x ${inputs}`);
      }
    });

    test.skipIf(missing)('the RoPE table, plain and scaled as llama3', () => {
      for (const scaling of [unscaled, llama3, Float32Array.of(8, 1, 4, 64)]) {
        for (const dim of [2, 24, 64]) {
          expectTwin((scalar) => kernels.ropeTable(300, dim, 500_000, scaling, scalar), `${dim}, [${scaling}]`);
        }
      }
    });

    test.skipIf(missing)('exp, over its whole range and at its borders', () => {
      const random = new Random(seedOf('exp'));
      const borders = [
        0,
        -0,
        1,
        -87.29999,
        -87.3,
        -87.30001,
        88.72283,
        88.72284,
        -1e9,
        1e9,
        -Infinity,
        Infinity,
        1e-40,
      ];
      const x = joined(Float32Array.from(borders), randomFloats(random, 20_000, 90), randomFloats(random, 5000, 1));
      expectTwin((scalar) => kernels.exp(x, scalar), 'exp');
    });

    test.skipIf(missing)('logprobRow and the draw, for vocabularies that fill no lane and no block', () => {
      const random = new Random(seedOf('logits'));
      for (const vocab of [1, 2, 15, 16, 17, 255, 256, 257, 301, 512, 1280, 1291]) {
        const logits = randomFloats(random, vocab, random.pick([0.1, 5, 60]));
        expectTwin((scalar) => kernels.logprobRow(logits, scalar), `logprobRow ${vocab}`);
        for (const temperature of [0, 0.3, 1, 2]) {
          const seed = BigInt(random.below(1e9));
          expectTwin(
            (scalar) => Float32Array.of(kernels.draw(logits, temperature, whole, seed, vocab, scalar)),
            `draw ${vocab} at ${temperature}`,
          );
          const filters = Float32Array.of(
            random.pick([0, 1, 3, 40, vocab]),
            random.pick([1, 0.9, 0.3]),
            random.pick([0, 0.05]),
          );
          expectTwin(
            (scalar) => Float32Array.of(kernels.draw(logits, temperature, filters, seed, vocab, scalar)),
            `draw ${vocab} at ${temperature}, filtered by ${filters}`,
          );
        }
      }
    });
  });
}

describe('own functions are near the true ones', () => {
  test('float exp is within 1.1 units in the last place', () => {
    const x = Float32Array.from({ length: 40_001 }, (_, i) => -87.25 + (i * (87.25 + 88.7)) / 40_000);
    const y = kernels.exp(x, false);
    let worst = 0;
    for (const [i, value] of y.entries()) {
      const exact = Math.exp(x[i] ?? 0);
      worst = Math.max(worst, Math.abs(value - exact) / 2 ** (Math.floor(Math.log2(exact)) - 23));
    }
    expect(worst).toBeLessThan(1.1);
  });

  test('double log, exp, sin and cos agree with the library to 1e-14', () => {
    const random = new Random(seedOf('exact'));
    for (let i = 0; i < 2000; i++) {
      const x = random.next() * 10 ** random.between(-3, 5);
      expect(kernels.exact('sin', x)).toBeCloseTo(Math.sin(x), 11);
      expect(kernels.exact('cos', x)).toBeCloseTo(Math.cos(x), 11);
      expect(kernels.exact('log', x) / Math.log(x)).toBeCloseTo(1, 13);
      const y = Math.min(x, 600) * (random.chance(0.5) ? 1 : -1);
      expect(kernels.exact('exp', y) / Math.exp(y)).toBeCloseTo(1, 13);
    }
  });

  test('the RoPE table holds the cosines and sines of Hugging Face angles', () => {
    const [positions, dim, theta] = [5000, 32, 10_000];
    const table = kernels.ropeTable(positions, dim, theta, unscaled, false);
    for (const position of [0, 1, 2, 63, 777, 4999]) {
      for (let i = 0; i < dim / 2; i++) {
        const angle = Math.fround(position * Math.fround(1 / theta ** ((2 * i) / dim)));
        expect(table[(position * dim) / 2 + i]).toBeCloseTo(Math.cos(angle), 6);
        expect(table[((positions + position) * dim) / 2 + i]).toBeCloseTo(Math.sin(angle), 6);
      }
    }
  });
});

describe('llama3 scaling of RoPE', () => {
  test('keeps short wavelengths, divides long ones by the factor, and goes over smoothly between', () => {
    const [positions, dim, theta] = [2, 64, 500_000];
    const table = kernels.ropeTable(positions, dim, theta, llama3, false);
    const kinds = new Set<string>();
    for (let i = 0; i < dim / 2; i++) {
      const frequency = 1 / theta ** ((2 * i) / dim);
      const turns = (8192 * frequency) / (2 * Math.PI);
      const smooth = Math.min(1, Math.max(0, (turns - 1) / (4 - 1)));
      kinds.add(smooth === 1 ? 'kept' : smooth === 0 ? 'divided' : 'between');
      const scaled = ((1 - smooth) * frequency) / 32 + smooth * frequency;
      expect((table[(positions + 1) * (dim / 2) + i] ?? 0) / Math.sin(scaled)).toBeCloseTo(1, 6);
    }
    expect(kinds.size).toBe(3);
  });

  test('reaches 128 K positions with the angles of Hugging Face, which are floats', () => {
    const [positions, dim, theta] = [131_072, 8, 500_000];
    const table = kernels.ropeTable(positions, dim, theta, llama3, false);
    expect(table.length).toBe(positions * dim);
    // Read from the table itself, so that only positions are judged here.
    const first = Array.from({ length: dim / 2 }, (_, i) => table[(positions + 1) * (dim / 2) + i] ?? 0);
    for (const position of [2, 8191, 8192, 65_537, 131_071]) {
      for (const [i, sine] of first.entries()) {
        const at = (position * dim) / 2 + i;
        const [cosine = 2, sineAt = 2] = [table[at], table[(positions * dim) / 2 + at]];
        expect(cosine ** 2 + sineAt ** 2).toBeCloseTo(1, 6);
        // The first frequency is 1 and exact; of the others a float of the first sine gives the angle to 1e-7 of it.
        const frequency = i === 0 ? 1 : Math.asin(sine);
        const off = Math.abs(Math.sin(position * frequency) - sineAt);
        expect(off).toBeLessThan(i === 0 ? 1e-6 : 4e-7 * position * frequency + 1e-6);
      }
    }
  });
});
