/**
 * What the tests of the native forward stand on: the test addon (the engine's table, its kernels and their scalar
 * twins one by one) and a driver that turns token sequences into forward plans.
 *
 * Not part of the engine: nothing outside tests imports it. The addon is built by `npm run build:native -- --test`.
 */
import type { Random } from '../core/random.ts';
import type { Truncation } from '../core/truncation.ts';
import { type Cache, type ForwardPlan, type ForwardResult, loadAddon, type Native, type Weights } from './native.ts';

type Numbers = Float32Array;

/** Every set that kernels are built for, the best first. */
export const instructionSets = ['avx512', 'avx2', 'portable'] as const;
export type InstructionSet = (typeof instructionSets)[number];

/** Arrays are row-major; results are written in place where nothing is returned. `scalar` takes the twin. */
export interface Kernels {
  /** False when the processor lacks it. */
  useIsa(name: InstructionSet): boolean;
  exp(x: Numbers, scalar: boolean): Numbers;
  /** c [m][n] (+)= a [m][k] w^T; w is [n][k], or [k][n] when transposed. */
  gemm(
    a: Numbers,
    w: Numbers,
    c: Numbers,
    m: number,
    n: number,
    k: number,
    add: boolean,
    transposed: boolean,
    scalar: boolean,
  ): void;
  /** c [rows][width] += bias [width] */
  addBias(bias: Numbers, rows: number, width: number, c: Numbers, scalar: boolean): void;
  /** gradient [width] += the rows of dy [rows][width] */
  addRowSums(dy: Numbers, rows: number, width: number, gradient: Numbers, scalar: boolean): void;
  /** gradient [outputs][inputs] += dy [rows][outputs]^T x [rows][inputs] */
  addOuterProducts(
    dy: Numbers,
    x: Numbers,
    rows: number,
    outputs: number,
    inputs: number,
    gradient: Numbers,
    scalar: boolean,
  ): void;
  rmsNorm(
    x: Numbers,
    gain: Numbers,
    rows: number,
    width: number,
    epsilon: number,
    y: Numbers,
    inverse: Numbers,
    scalar: boolean,
  ): void;
  /**
   * [cosines | sines], each [positions][headDim / 2]. `llama3` is empty or holds factor, low and high frequency factor,
   * original context length.
   */
  ropeTable(positions: number, headDim: number, theta: number, llama3: Numbers, scalar: boolean): Numbers;
  rope(
    x: Numbers,
    cosines: Numbers,
    sines: Numbers,
    heads: number,
    headDim: number,
    sign: number,
    y: Numbers,
    scalar: boolean,
  ): void;
  swiglu(gateUp: Numbers, rows: number, width: number, y: Numbers, scalar: boolean): void;
  attention(
    q: Numbers,
    keys: Numbers,
    values: Numbers,
    rows: number,
    firstPosition: number,
    heads: number,
    kvHeads: number,
    headDim: number,
    scale: number,
    out: Numbers,
    maxima: Numbers,
    sums: Numbers,
    scalar: boolean,
  ): void;
  /** [maximum, sum, logSum, entropy] */
  logprobRow(logits: Numbers, scalar: boolean): Numbers;
  /** `filters` is empty or holds topK, topP, minP. */
  draw(logits: Numbers, temperature: number, filters: Numbers, seed: bigint, position: number, scalar: boolean): number;
  exact(name: 'log' | 'exp' | 'sin' | 'cos', x: number): number;
  /** Of the calling thread; threads that start later inherit it. */
  flushSubnormals(on: boolean): void;
  /** Half the smallest normal float, computed in every thread of the pool. */
  poolHalves(): Numbers;
}

export function loadKernelTest(): Native & { readonly kernels: Kernels } {
  return loadAddon('kernel-test') as Native & { kernels: Kernels };
}

/** Back to the set that is used where a test does not choose. */
export function useBestSet(kernels: Kernels): void {
  instructionSets.some((set) => kernels.useIsa(set));
}

/** For tests of each set: those that this machine lacks are skipped, and `note` says so in the test's name. */
export function eachSet(kernels: Kernels): { set: InstructionSet; missing: boolean; note: string }[] {
  const sets = instructionSets.map((set) => {
    const missing = !kernels.useIsa(set);
    return { set, missing, note: missing ? ' (skipped: this machine lacks it)' : '' };
  });
  useBestSet(kernels);
  return sets;
}

/** Uniform in [-scale, scale). */
export function randomFloats(random: Random, length: number, scale = 1): Numbers {
  return Float32Array.from({ length }, () => (2 * random.next() - 1) * scale);
}

export function randomIds(random: Random, length: number, vocabSize: number): Int32Array {
  return Int32Array.from({ length }, () => random.below(vocabSize));
}

/** The bits of floats: equal exactly when every float is, zeros' signs and NaN included. */
export function bitsOf(values: Numbers): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('hex');
}

/** What one sequence brings to a step. */
export interface Part {
  readonly tokens: Int32Array;
  readonly firstPosition: number;
  readonly blocks: readonly number[];
  readonly draw?: boolean;
  readonly temperature?: number;
  readonly truncation?: Truncation;
  readonly seed?: bigint;
}

export function planOf(parts: readonly Part[]): ForwardPlan {
  const starts = (lengths: readonly number[]): Int32Array => {
    const bounds = [0];
    for (const length of lengths) bounds.push((bounds.at(-1) ?? 0) + length);
    return Int32Array.from(bounds);
  };
  return {
    tokens: Int32Array.from(parts.flatMap((part) => [...part.tokens])),
    tokenStart: starts(parts.map((part) => part.tokens.length)),
    firstPosition: Int32Array.from(parts, (part) => part.firstPosition),
    blockStart: starts(parts.map((part) => part.blocks.length)),
    blocks: Int32Array.from(parts.flatMap((part) => part.blocks)),
    draw: Uint8Array.from(parts, (part) => (part.draw === false ? 0 : 1)),
    temperature: Float32Array.from(parts, (part) => part.temperature ?? 1),
    topK: Int32Array.from(parts, (part) => part.truncation?.topK ?? 0),
    topP: Float32Array.from(parts, (part) => part.truncation?.topP ?? 1),
    minP: Float32Array.from(parts, (part) => part.truncation?.minP ?? 0),
    seed: BigUint64Array.from(parts, (part) => part.seed ?? 0n),
  };
}

/** The ids and the bits that a step gave, one string a sequence. */
export function rowsOf(result: ForwardResult): string[] {
  return [...result.ids].map(
    (id, at) => `${id} ${bitsOf(result.logprobs.slice(at, at + 1))} ${bitsOf(result.entropies.slice(at, at + 1))}`,
  );
}

/** Feeds `ids` in pieces that end at `ends`; returns the row of each piece's last token. */
export async function inPieces(
  native: Native,
  weights: Weights,
  cache: Cache,
  ids: Int32Array,
  ends: readonly number[],
  blocks: readonly number[],
): Promise<string[]> {
  const rows: string[] = [];
  let from = 0;
  for (const end of ends) {
    const plan = planOf([{ tokens: ids.slice(from, end), firstPosition: from, blocks, seed: 5n }]);
    rows.push(...rowsOf(await native.forward(weights, cache, plan)));
    from = end;
  }
  return rows;
}
