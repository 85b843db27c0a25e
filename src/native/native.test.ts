/** The boundary itself: what crosses it unharmed, and what is refused before it can touch memory. */
import { spawnSync } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { Random, seedOf } from '../core/random.ts';
import { eachSet, loadKernelTest, planOf, randomIds } from './kernel-case.ts';
import { addonPath, type ForwardPlan, loadNative } from './native.ts';
import { randomTensors, shapes, tinyShape as trainShape } from './train-case.ts';

const tinyShape = { ...trainShape, contextLength: 512 };
const native = loadNative();
const random = new Random(seedOf('boundary'));
const tensors = randomTensors(tinyShape, random);
const weights = native.createWeights(tinyShape, tensors);

describe('weights', () => {
  test.each(Object.entries(shapes))('come back bit for bit: %s', (_, shape) => {
    const given = randomTensors(shape, random);
    const back = native.exportWeights(native.createWeights(shape, given));
    expect([...back.names].sort()).toEqual([...given.names].sort());
    for (const [at, name] of back.names.entries()) expect(back.data[at]).toEqual(given.data[given.names.indexOf(name)]);
  });

  test('that are missing, of another size or of another type are refused by name', () => {
    const { names, data } = tensors;
    expect(() => native.createWeights(tinyShape, { names: names.slice(1), data: data.slice(1) })).toThrow(
      'tensor model.embed_tokens.weight is missing',
    );
    expect(() => native.createWeights({ ...tinyShape, hiddenSize: 25 }, tensors)).toThrow(
      'tensor model.embed_tokens.weight has 888 elements, the shape asks for 37 x 25',
    );
    expect(() => native.createWeights({ ...tinyShape, headCount: 3 }, tensors)).toThrow(
      'multiple of shape.kvHeadCount',
    );
    expect(() => native.createWeights({ ...tinyShape, layerCount: 0 }, tensors)).toThrow('shape.layerCount must be');
  });
});

describe('a forward plan', () => {
  const cache = native.createCache(tinyShape, 4);
  const plan = planOf([{ tokens: Int32Array.of(1, 2, 3), firstPosition: 0, blocks: [0], seed: 1n }]);
  const faults: [string, Partial<ForwardPlan>, string][] = [
    ['a token past the vocabulary', { tokens: Int32Array.of(1, 37, 3) }, 'token id 37 is not in the vocabulary of 37'],
    ['a negative token', { tokens: Int32Array.of(1, -1, 3) }, 'token id -1 is not in the vocabulary'],
    ['a block past the cache', { blocks: Int32Array.of(4) }, 'block 4 is not in the cache of 4 blocks'],
    ['too few blocks', { firstPosition: Int32Array.of(62) }, 'needs room for 65 positions but has 1 blocks of 64'],
    [
      'a position past the context',
      { firstPosition: Int32Array.of(510) },
      'position 512 is past the context length 512',
    ],
    ['a negative position', { firstPosition: Int32Array.of(-1) }, 'negative position'],
    ['arrays of two lengths', { draw: new Uint8Array(2) }, 'plan arrays disagree'],
    [
      'token starts that do not end',
      { tokenStart: Int32Array.of(0, 2) },
      'tokenStart must run from 0 to the token count 3',
    ],
    ['a temperature that is no number', { temperature: Float32Array.of(Number.NaN) }, 'temperature of sequence 0'],
    [
      'a draw without a token',
      { tokens: new Int32Array(0), tokenStart: Int32Array.of(0, 0) },
      'no token to draw after',
    ],
  ];
  test.each(faults)('with %s is rejected', async (_, fault, message) => {
    await expect(native.forward(weights, cache, { ...plan, ...fault })).rejects.toThrow(message);
  });

  test('for another shape than the cache is rejected', async () => {
    const other = native.createCache({ ...tinyShape, layerCount: 1 }, 4);
    await expect(native.forward(weights, other, plan)).rejects.toThrow('another model shape');
  });

  test('draws nothing where nothing is asked, and nothing at all when empty', async () => {
    const quiet = await native.forward(weights, cache, { ...plan, draw: Uint8Array.of(0) });
    expect([...quiet.ids]).toEqual([-1]);
    const empty = await native.forward(weights, cache, planOf([]));
    expect(empty.ids.length).toBe(0);
  });

  test('may be reused at once: its arrays are copied', async () => {
    const tokens = randomIds(random, 3, 37);
    const mine = { ...plan, tokens };
    const expected = await native.forward(weights, cache, mine);
    const running = native.forward(weights, cache, mine);
    tokens.fill(0);
    expect(await running).toEqual(expected);
  });
});

describe('handles and ids', () => {
  test('of the wrong kind are refused', async () => {
    const cache = native.createCache(tinyShape, 1);
    await expect(native.score(cache as never, Int32Array.of(1))).rejects.toThrow('expected a weights handle');
    expect(() => native.exportWeights({} as never)).toThrow('expected a weights handle');
    expect(() => native.copyBlock(cache, 0, 1, 3)).toThrow('block must be from 0 to 0');
  });

  test('past the vocabulary or the context are rejected by score', async () => {
    await expect(native.score(weights, Int32Array.of(1, 99))).rejects.toThrow('token id 99');
    await expect(native.score(weights, new Int32Array(513))).rejects.toThrow('exceed the context length 512');
    expect((await native.score(weights, Int32Array.of(1))).length).toBe(0);
    expect((await native.score(weights, new Int32Array(0))).length).toBe(0);
  });
});

for (const { set, missing, note } of eachSet(loadKernelTest().kernels)) {
  test.skipIf(missing)(`ESPALIER_ISA=${set} runs the kernels on ${set}${note}`, () => {
    expect(loadedUnder(set).stdout).toBe(set);
  });
}

test('the best instruction set is used where ESPALIER_ISA does not choose', () => {
  const best = eachSet(loadKernelTest().kernels).find(({ missing }) => !missing)?.set;
  expect(loadedUnder('').stdout).toBe(best);
});

test('ESPALIER_ISA that names what the machine does not have is refused, with the way out', () => {
  const { status, stderr } = loadedUnder('avx1024');
  expect(status).not.toBe(0);
  expect(stderr).toContain('ESPALIER_ISA is "avx1024", which this machine does not have: set avx512, avx2 or portable');
});

function loadedUnder(isa: string) {
  const file = new URL('./native.ts', import.meta.url).href;
  const program = `process.stdout.write((await import(${JSON.stringify(file)})).loadNative().instructionSet())`;
  const env = { ...process.env, ESPALIER_ISA: isa };
  return spawnSync(process.execPath, ['--input-type=module', '-e', program], { env, encoding: 'utf8' });
}

test('calls that run at once each get their own result', async () => {
  const prompts = Array.from({ length: 24 }, (_, i) => randomIds(random, 5 + i, 37));
  const alone = [];
  for (const ids of prompts) alone.push(await native.score(weights, ids));
  expect(await Promise.all(prompts.map((ids) => native.score(weights, ids)))).toEqual(alone);
});

test('a worker thread has the engine to itself and may end while work is running', async () => {
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    const native = require(workerData.addon);
    const weights = native.createWeights(workerData.shape, workerData.tensors);
    for (let i = 0; i < 50; i++) native.logits(weights, new Int32Array(400)).catch(() => {});
    native.score(weights, Int32Array.of(1, 2, 3)).then((scored) => parentPort.postMessage(scored));
    parentPort.postMessage('started');
  `;
  const addon = addonPath('espalier');
  const worker = new Worker(source, { eval: true, workerData: { addon, shape: tinyShape, tensors } });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  await worker.terminate();
  expect((await native.score(weights, Int32Array.of(1, 2))).length).toBe(1);
});
