/**
 * The engine against PyTorch `transformers`: test/fixtures/parity, which make_fixtures.py made, holds folders of tiny
 * models and what transformers computed with them.
 *
 * Covered: reading each folder, logits, log-probabilities, loss, the gradient of every tensor, and that a folder that was
 * trained and saved keeps its architecture and what was carried along. Not covered here: that transformers loads what we
 * write (compare.py), and large sizes (the fp64 twin).
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCheckpoint, writeCheckpoint } from '../../src/engine/checkpoint.ts';
import { openEmbedded } from '../../src/engine/engines/embedded.ts';
import { readSafetensors } from '../../src/engine/safetensors.ts';
import { loadNative, type TrainPlan } from '../../src/native/native.ts';
import { adamw, relativeError } from '../../src/native/train-case.ts';

const fixtures = join(import.meta.dirname, '..', 'fixtures', 'parity');
const native = loadNative();
const names = (await readdir(fixtures)).sort();

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'espalier-parity-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function open(name: string) {
  const folder = join(fixtures, name);
  const checkpoint = await readCheckpoint(folder);
  const file = join(folder, 'expected.safetensors');
  const expected = new Map(readSafetensors(await readFile(file), file).map((tensor) => [tensor.name, tensor.data]));
  const of = (tensor: string): Float32Array => {
    const values = expected.get(tensor);
    if (values === undefined) throw new Error(`${file} has no ${tensor}`);
    return values;
  };
  const ids = Int32Array.from(of('ids'));
  return { checkpoint, expected, of, ids, weights: native.createWeights(checkpoint.shape, checkpoint.weights) };
}

/** Every id after the first is a target: the mean cross-entropy of the sequence. */
function planOf(ids: Int32Array): TrainPlan {
  const terms = ids.length - 1;
  return {
    tokens: ids,
    spanStart: Int32Array.of(0, ids.length),
    spanParent: Int32Array.of(-1),
    termNode: Int32Array.from({ length: terms }, (_, at) => at),
    termTarget: ids.slice(1),
    termBehaviorLogprob: new Float32Array(terms),
    termAPos: new Float32Array(terms),
    termANeg: new Float32Array(terms),
    termCount: new Float32Array(terms).fill(1),
    objective: 'cross-entropy',
    normalizer: terms,
    clipLow: 0.2,
    clipHigh: 0.28,
    ...adamw,
  };
}

function largestGap(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, at) => Math.max(most, Math.abs(value - (b[at] ?? Number.NaN))), 0);
}

test('there is a folder for each family', () => {
  expect(names).toEqual(['llama', 'llama-older', 'qwen2', 'qwen2-older', 'qwen3']);
});

test('the folders would show a rope that is not scaled and biases that are not added', async () => {
  for (const name of ['llama', 'llama-older', 'qwen2', 'qwen2-older']) {
    const { checkpoint, of, ids } = await open(name);
    const { ropeScaling: _, ...plain } = checkpoint.shape;
    const { names: tensors, data } = checkpoint.weights;
    const zeros = data.map((values, at) => (tensors[at]?.endsWith('.bias') ? values.map(() => 0) : values));
    const shape = name.startsWith('llama') ? plain : checkpoint.shape;
    const weights = native.createWeights(shape, { names: tensors, data: name === 'llama-older' ? data : zeros });
    expect(largestGap(await native.logits(weights, ids), of('logits'))).toBeGreaterThan(1e-2);
  }
});

describe.each(names)('%s', (name) => {
  test('has the logits and log-probabilities of transformers', async () => {
    const { of, ids, weights } = await open(name);
    const logits = largestGap(await native.logits(weights, ids), of('logits'));
    const logprobs = largestGap(await native.score(weights, ids), of('logprobs'));
    if (process.env['SHOW_PARITY'] === '1') console.log(`${name}: logits ${logits}, logprobs ${logprobs}`);
    expect(logits).toBeLessThan(5e-5);
    expect(logprobs).toBeLessThan(5e-5);
  });

  test('has the loss and the gradient of every tensor of transformers', async () => {
    const { of, expected, ids, weights } = await open(name);
    const gradients = await native.gradients(native.createTrainer(weights), planOf(ids));
    const errors = gradients.names.map((tensor, at) => {
      return { tensor, error: relativeError(gradients.data[at] ?? [], of(`gradient.${tensor}`)) };
    });
    const worst = errors.reduce((most, each) => (each.error > most.error ? each : most));
    if (process.env['SHOW_PARITY'] === '1') console.log(`${name}: ${worst.tensor} ${worst.error}`);
    const wanted = [...expected.keys()].filter((key) => key.startsWith('gradient.'));
    expect(gradients.names.map((tensor) => `gradient.${tensor}`).sort()).toEqual(wanted.sort());
    for (const { tensor, error } of errors) expect(error, tensor).toBeLessThan(1e-5);
    const { loss } = await native.train(native.createTrainer(weights), planOf(ids));
    expect(Math.abs(loss - (of('loss')[0] ?? Number.NaN))).toBeLessThan(1e-5);
  });

  test('samples with the bits of score, before and after a training step in the engine', async () => {
    const { ids } = await open(name);
    const engine = await openEmbedded({ model: join(fixtures, name), contextLength: 128 });
    const sampling = { temperature: 1, maxTokens: 20, stopIds: [] };
    const sample = async () => {
      const drawn: number[] = [];
      const logprobs: number[] = [];
      for await (const event of engine.generate({ ids, sampling, seed: 7n })) {
        if (event.type === 'end') expect(event.reason).toBe('length');
        else {
          drawn.push(...event.ids);
          logprobs.push(...event.logprobs);
        }
      }
      expect(drawn.length).toBe(20);
      const scored = await engine.score(Int32Array.from([...ids, ...drawn]));
      expect([...scored.slice(ids.length - 1)]).toEqual(logprobs);
      return logprobs;
    };
    const before = await sample();
    const plan = planOf(ids);
    const objective = { kind: 'cross-entropy', normalizer: plan.normalizer } as const;
    const { termLogprobs } = await engine.train({ batch: plan, objective, optimizer: adamw });
    expect([...termLogprobs]).toEqual([...(await engine.score(ids))]);
    await engine.publish();
    expect(await sample()).not.toEqual(before);
    await engine.close();
  });

  test('keeps architecture, tokenizer, chat template and generation configuration when it is trained and saved', async () => {
    const { checkpoint, ids, weights } = await open(name);
    const trainer = native.createTrainer(weights);
    await native.train(trainer, planOf(ids));
    const trained = native.exportWeights(native.trainedWeights(trainer));
    const optimizer = native.exportOptimizer(trainer);
    const saved = join(directory, name);
    await writeCheckpoint(saved, { ...checkpoint, weights: trained, optimizer });
    const again = await readCheckpoint(saved);
    expect(again.shape).toEqual(checkpoint.shape);
    expect({ ...again.config, dtype: 0, torch_dtype: 0 }).toEqual({ ...checkpoint.config, dtype: 0, torch_dtype: 0 });
    expect(['float32', undefined]).toContain(again.config['dtype']);
    expect(['float32', undefined]).toContain(again.config['torch_dtype']);
    expect(again.files).toEqual(checkpoint.files);
    expect([...again.files.keys()]).toEqual(expect.arrayContaining(['tokenizer.json', 'chat_template.jinja']));
    for (const [at, tensor] of trained.names.entries()) {
      expect(again.weights.data[again.weights.names.indexOf(tensor)], tensor).toEqual(trained.data[at]);
      expect(trained.data[at], tensor).not.toEqual(checkpoint.weights.data[checkpoint.weights.names.indexOf(tensor)]);
    }
    expect(again.optimizer).toEqual(optimizer);
  });
});
