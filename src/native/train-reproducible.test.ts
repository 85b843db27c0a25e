import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { Random, seedOf } from '../core/random.ts';
import { bitsOf, eachSet, loadKernelTest, useBestSet } from './kernel-case.ts';
import type { ModelShape, Native, Tensors, TrainerState, TrainPlan } from './native.ts';
import { randomPlan, randomTensors, shapes, tinyShape } from './train-case.ts';

const native = loadKernelTest();
const sets = eachSet(native.kernels);
const fixture = new URL('../../test/fixtures/ten-training-steps.json', import.meta.url);

const biased: ModelShape = { ...tinyShape, qkNorm: false, attentionBias: 'qkvo' };

afterEach(() => {
  native.setThreads(1);
  useBestSet(native.kernels);
});

function trainerOf(shape: ModelShape, name: string): TrainerState {
  const random = new Random(seedOf('weights', name));
  return native.createTrainer(native.createWeights(shape, randomTensors(shape, random)));
}

function plansOf(shape: ModelShape, name: string, count: number, matrices: TrainPlan['matrices']): TrainPlan[] {
  const random = new Random(seedOf('plans', name));
  const wish = { roots: 2, spans: 12, maxSpanTokens: 40, termChance: 0.3 };
  return Array.from({ length: count }, (_, step) => ({
    ...randomPlan(shape, random, wish),
    matrices,
    objective: step % 2 === 0 ? 'cross-entropy' : 'clipped',
  }));
}

const bits = (tensors: Tensors): string[] => tensors.data.map(bitsOf);

/** Everything that a run leaves: losses, norms, log-probabilities, weights and moments. */
async function outcome(engine: Native, trainer: TrainerState, plans: readonly TrainPlan[]) {
  const steps = [];
  for (const plan of plans) {
    const { termLogprobs, ...rest } = await engine.train(trainer, plan);
    steps.push({ ...rest, termLogprobs: bitsOf(termLogprobs) });
  }
  const weights = bits(engine.exportWeights(engine.trainedWeights(trainer)));
  return { steps, weights, optimizer: bits(engine.exportOptimizer(trainer)) };
}

for (const matrices of ['adamw', 'muon'] as const) {
  for (const [name, shape] of Object.entries(shapes)) {
    test(`one, two and three threads give the same bits: ${name}, ${matrices}`, async () => {
      const plans = plansOf(shape, name, 2, matrices);
      const single = await outcome(native, trainerOf(shape, name), plans);
      for (const threads of [2, 3]) {
        native.setThreads(threads);
        expect(await outcome(native, trainerOf(shape, name), plans)).toEqual(single);
      }
    });

    for (const { set, missing, note } of sets.filter(({ set }) => set !== 'portable')) {
      test.skipIf(missing)(`${set} and portable give the same bits: ${name}, ${matrices}${note}`, async () => {
        const plans = plansOf(shape, name, 2, matrices);
        native.kernels.useIsa('portable');
        const portable = await outcome(native, trainerOf(shape, name), plans);
        native.kernels.useIsa(set);
        expect(native.instructionSet()).toBe(set);
        expect(await outcome(native, trainerOf(shape, name), plans)).toEqual(portable);
      });
    }
  }

  test(`a run that is exported and imported goes on bit for bit: ${matrices}`, async () => {
    const plans = plansOf(tinyShape, 'resume', 6, matrices);
    const whole = trainerOf(tinyShape, 'resume');
    const half = trainerOf(tinyShape, 'resume');
    await outcome(native, half, plans.slice(0, 3));
    const state = native.exportOptimizer(half);
    const weights = native.exportWeights(native.trainedWeights(half));
    const resumed = native.createTrainer(native.createWeights(tinyShape, weights));
    native.importOptimizer(resumed, state);
    const after = await outcome(native, resumed, plans.slice(3));
    const straight = await outcome(native, whole, plans);
    expect(after).toEqual({ ...straight, steps: straight.steps.slice(3) });
    expect(state.data[state.names.indexOf('step')]).toEqual(Float32Array.of(3));
  });
}

test('a snapshot stays what it was while training goes on', async () => {
  const trainer = trainerOf(tinyShape, 'snapshot');
  const snapshot = native.trainedWeights(trainer);
  const before = bits(native.exportWeights(snapshot));
  await outcome(native, trainer, plansOf(tinyShape, 'snapshot', 2, 'adamw'));
  expect(bits(native.exportWeights(snapshot))).toEqual(before);
  expect(bits(native.exportWeights(native.trainedWeights(trainer)))).not.toEqual(before);
});

test('weights decay towards zero, norm gains and biases never do', async () => {
  const trainer = trainerOf(biased, 'decay');
  const before = native.exportWeights(native.trainedWeights(trainer));
  const [plan] = plansOf(biased, 'decay', 1, 'adamw');
  if (plan === undefined) throw new Error('no plan');
  const still = { ...plan, termCount: new Float32Array(plan.termCount.length), learningRate: 0.5, weightDecay: 0.5 };
  await native.train(trainer, still);
  const after = native.exportWeights(native.trainedWeights(trainer));
  for (const [at, values] of after.data.entries()) {
    const shrunk = /norm|bias/.test(before.names[at] ?? '') ? 1 : 0.75;
    expect(values, after.names[at]).toEqual(before.data[at]?.map((value) => value * shrunk));
  }
});

test('biases are trained by AdamW even where matrices take Muon, and have a state of their own', async () => {
  const trainer = trainerOf(biased, 'biases');
  const before = native.exportWeights(native.trainedWeights(trainer));
  for (const plan of plansOf(biased, 'biases', 2, 'muon')) await native.train(trainer, plan);
  const after = native.exportWeights(native.trainedWeights(trainer));
  const optimizer = native.exportOptimizer(trainer);
  const biases = after.names.filter((name) => name.endsWith('.bias'));
  expect(biases.length).toBe(4 * biased.layerCount);
  for (const name of biases) {
    expect(after.data[after.names.indexOf(name)]).not.toEqual(before.data[before.names.indexOf(name)]);
    expect(optimizer.names).toEqual(expect.arrayContaining([`${name}.m`, `${name}.v`]));
    expect(optimizer.names).not.toContain(`${name}.momentum`);
  }
});

test('repeated steps on one batch bring its loss down', async () => {
  for (const matrices of ['adamw', 'muon'] as const) {
    const trainer = trainerOf(tinyShape, 'descent');
    const [plan] = plansOf(tinyShape, 'descent', 1, matrices);
    if (plan === undefined) throw new Error('no plan');
    const first = await native.train(trainer, plan);
    for (let step = 0; step < 30; step++) await native.train(trainer, plan);
    const last = await native.train(trainer, plan);
    expect(last.loss, matrices).toBeLessThan(first.loss * 0.8);
  }
});

for (const { set, missing, note } of sets) {
  test.skipIf(missing)(`ten training steps reproduce the stored losses exactly, on ${set}${note}`, async () => {
    native.kernels.useIsa(set);
    const losses: Record<string, number[]> = {};
    for (const matrices of ['adamw', 'muon'] as const) {
      const { steps } = await outcome(native, trainerOf(tinyShape, 'ten'), plansOf(tinyShape, 'ten', 10, matrices));
      losses[matrices] = steps.flatMap((step) => [step.loss, step.gradientNorm]);
    }
    // Written anew, on purpose, when the numerics version changes: UPDATE_FIXTURES=1.
    if (process.env['UPDATE_FIXTURES'] === '1') writeFileSync(fixture, `${JSON.stringify(losses, null, 2)}\n`);
    expect(losses).toEqual(JSON.parse(readFileSync(fixture, 'utf8')));
  });
}
