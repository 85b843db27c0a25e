/**
 * Tokens per second of a training step (forward, backward, optimizer), flat and trie.
 *
 * Measures: the native trainer alone, random weights and ids, the seedling model's shape, `--threads N` (2).
 * Does not measure: making batches, the call from JavaScript (below 1 ms), other model sizes, quiet against busy cores.
 * `--rounds N` repetitions; the median and the fastest are printed. `tokens/s` counts tree tokens. On a machine that
 * others use, tokens a core second (processor time, not wall time) say more.
 */
import { parseArgs } from 'node:util';
import { Random, seedOf } from '../src/core/random.ts';
import { loadNative, type ModelShape, type TrainPlan } from '../src/native/native.ts';
import { adamw, randomTensors } from '../src/native/train-case.ts';

const { values } = parseArgs({
  options: { threads: { type: 'string', default: '2' }, rounds: { type: 'string', default: '7' } },
});
const shape: ModelShape = {
  vocabSize: 1280,
  hiddenSize: 128,
  intermediateSize: 352,
  layerCount: 4,
  headCount: 4,
  kvHeadCount: 2,
  headDim: 32,
  ropeTheta: 10000,
  normEpsilon: 1e-6,
  tiedEmbeddings: true,
  qkNorm: true,
  contextLength: 4096,
};
const random = new Random(seedOf('native-train bench'));

/** Spans in pre-order as [parent, tokens]; a share of the nodes carries one term. */
function planOf(spans: readonly (readonly [parent: number, tokens: number])[], termShare: number): TrainPlan {
  const start = [0];
  for (const [, tokens] of spans) start.push((start.at(-1) ?? 0) + tokens);
  const count = start.at(-1) ?? 0;
  const nodes = Array.from({ length: count }, (_, node) => node).filter(() => random.chance(termShare));
  const fill = (value: number) => new Float32Array(nodes.length).fill(value);
  return {
    tokens: Int32Array.from({ length: count }, () => random.below(shape.vocabSize)),
    spanStart: Int32Array.from(start),
    spanParent: Int32Array.from(spans, ([parent]) => parent),
    termNode: Int32Array.from(nodes),
    termTarget: Int32Array.from(nodes, () => random.below(shape.vocabSize)),
    termBehaviorLogprob: fill(-7),
    termAPos: fill(0.5),
    termANeg: fill(-0.25),
    termCount: fill(1),
    objective: 'clipped',
    normalizer: nodes.length,
    clipLow: 0.2,
    clipHigh: 0.28,
    ...adamw,
  };
}

/** Groups of 8 rollouts: a prompt of 120, then every rollout forks off another's path and goes on in short spans. */
function groups(count: number): (readonly [number, number])[] {
  const spans: (readonly [number, number])[] = [];
  for (let group = 0; group < count; group++) {
    const root = spans.push([-1, random.between(100, 140)]) - 1;
    const grow = (parent: number, rollouts: number): void => {
      if (rollouts === 0) return;
      const at = spans.push([parent, random.between(20, 60)]) - 1;
      if (rollouts === 1) {
        if (random.chance(0.5)) grow(at, 1);
        return;
      }
      const left = random.between(1, rollouts - 1);
      grow(at, left);
      grow(at, rollouts - left);
    };
    for (let left = 8; left > 0; ) {
      const take = Math.min(left, random.between(1, 4));
      grow(root, take);
      left -= take;
    }
  }
  return spans;
}

/** Every root-to-leaf path as a sequence of its own. */
function flattened(spans: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const inner = new Set(spans.map(([parent]) => parent));
  const lengths: number[] = [];
  const flat: (readonly [number, number])[] = [];
  for (const [at, [parent, tokens]] of spans.entries()) {
    lengths.push((lengths[parent] ?? 0) + tokens);
    if (!inner.has(at)) flat.push([-1, lengths[at] ?? 0]);
  }
  return flat;
}

const native = loadNative();
native.setThreads(Number(values.threads));
const trainer = native.createTrainer(native.createWeights(shape, randomTensors(shape, random)));
const tree = groups(8);
const cases: Record<string, TrainPlan> = {
  'flat 16 x 400, a term on every token': planOf(
    Array.from({ length: 16 }, () => [-1, 400]),
    1,
  ),
  'flat 16 x 400, terms on 15%': planOf(
    Array.from({ length: 16 }, () => [-1, 400]),
    0.15,
  ),
  'trie of 8 groups of 8, terms on 50%': planOf(tree, 0.5),
  'its paths flat, terms on 50%': planOf(flattened(tree), 0.5),
  'spans of 5 to 15 tokens under a prompt of 200': planOf(
    [[-1, 200], ...Array.from({ length: 160 }, (): [number, number] => [0, random.between(5, 15)])],
    0.5,
  ),
  'one sequence of 800': planOf([[-1, 800]], 1),
};
const cpu = (await import('node:os')).cpus()[0]?.model ?? 'unknown';
console.log(`${cpu}, ${native.instructionSet()}, ${values.threads} threads, ${values.rounds} rounds`);
for (const [name, plan] of Object.entries(cases)) {
  const times: number[] = [];
  const busy: number[] = [];
  for (let round = 0; round <= Number(values.rounds); round++) {
    const began = performance.now();
    const cpuBegan = process.cpuUsage();
    await native.train(trainer, plan);
    const { user, system } = process.cpuUsage(cpuBegan);
    if (round === 0) continue;
    times.push((performance.now() - began) / 1000);
    busy.push((user + system) / 1e6);
  }
  times.sort((a, b) => a - b);
  busy.sort((a, b) => a - b);
  const [median = 1, best = 1] = [times[times.length >> 1], times[0]];
  const spans = plan.spanParent.length;
  const rate = (seconds: number) => Math.round(plan.tokens.length / seconds);
  console.log(
    `${name}: ${plan.tokens.length} tokens in ${spans} spans, ${rate(median)} tokens/s (best ${rate(best)}), ${(median * 1000).toFixed(0)} ms; a core second: ${rate(busy[busy.length >> 1] ?? 1)} (best ${rate(busy[0] ?? 1)})`,
  );
}
