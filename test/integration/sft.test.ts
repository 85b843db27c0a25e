import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { scoreIds } from '../../src/engine/score-ids.ts';
import { type SuperviseOptions, superviseModel } from '../../src/run/supervise.ts';
import { loadRenderer } from '../../src/tokens/load.ts';
import { writeTinyModel } from './run-fixture.ts';

let folder = '';
let options: SuperviseOptions;
const say = ['say yes', 'say no', 'say more'].map((content, i) => [
  { role: 'user', content },
  { role: 'assistant', content: ['yes', 'no', 'more'][i] },
]);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-sft-'));
  await writeTinyModel(join(folder, 'model'));
  const data = join(folder, 'data.jsonl');
  await writeFile(data, `${say.map((messages) => JSON.stringify({ messages })).join('\n')}\n`);
  options = {
    model: join(folder, 'model'),
    data: [data],
    out: '',
    epochs: 6,
    perStep: 3,
    matrices: 'muon',
    learningRate: 1e-2,
    muonLearningRate: 0.02,
    warmupSteps: 1,
    decayShare: 0.5,
    seed: 0,
    threads: 1,
    skipLong: false,
  };
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const weights = (out: string) => readFile(join(out, 'model.safetensors'));

describe('supervised fine-tuning', () => {
  it('learns the replies of conversations, in the same bytes on one thread and on two', async () => {
    const [one, two] = [join(folder, 'one'), join(folder, 'two')];
    const lines: string[] = [];
    await superviseModel({ ...options, out: one }, (line) => lines.push(line));
    await superviseModel({ ...options, out: two, threads: 2 }, () => undefined);
    expect((await weights(one)).equals(await weights(two))).toBe(true);
    expect(lines[0]).toBe('3 conversations');
    expect(lines.at(-1)).toMatch(/one: \d+ tokens in 6 steps/);

    const renderer = await loadRenderer(one);
    const prompt = renderer.prompt([{ role: 'user', content: 'say yes' }], []);
    const ids = Int32Array.from([...prompt, ...renderer.tokenizer.encode('yes')]);
    const told = async (model: string) =>
      (await scoreIds(model, ids)).subarray(prompt.length - 1).reduce((sum, value) => sum + value, 0);
    expect(await told(one)).toBeGreaterThan((await told(options.model)) + 1);
  });

  it('refuses a conversation that the context cannot hold, unless told to leave such out', async () => {
    const data = join(folder, 'long.jsonl');
    const long = {
      messages: [
        { role: 'user', content: 'word '.repeat(3000) },
        { role: 'assistant', content: 'yes' },
      ],
    };
    const lines = [long, ...Array.from({ length: 3 }, () => ({ messages: say[0] }))];
    await writeFile(data, lines.map((line) => JSON.stringify(line)).join('\n'));
    const out = join(folder, 'long');
    const given = { ...options, data: [data], out };
    await expect(superviseModel(given, () => undefined)).rejects.toThrow(
      /conversation 1 of .*long.jsonl has \d+ tokens/,
    );
    const said: string[] = [];
    await superviseModel({ ...given, skipLong: true }, (line) => said.push(line));
    expect(said[0]).toBe('3 conversations, 1 left out as too long');
    await expect(superviseModel({ ...given, skipLong: true }, () => undefined)).rejects.toThrow(/not empty/);
  });

  it('says when there is too little for one step', async () => {
    const given = { ...options, out: join(folder, 'few'), perStep: 4 };
    await expect(superviseModel(given, () => undefined)).rejects.toThrow(/3 conversations do not fill a step of 4/);
  });
});
