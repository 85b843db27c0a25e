import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SessionFacts } from '../core/session.ts';
import type { Verdict } from '../core/verdict.ts';
import { applySettings, defineRun, resolveConfig } from './config.ts';
import { loadConfig } from './config-file.ts';
import { createRun } from './create-run.ts';
import { RunDirectory } from './directory.ts';
import { loadReward } from './reward.ts';
import { scoreFile } from './score.ts';
import { parseTasks } from './tasksets.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-config-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function write(name: string, text: string): Promise<string> {
  await writeFile(join(folder, name), text);
  return join(folder, name);
}

describe('a configuration', () => {
  it('has working defaults, and settings reach any depth', () => {
    const config = resolveConfig(applySettings(defineRun({ seed: 3 }), ['learn.turnPrice=0.1', 'name=priced']), 'here');
    expect(config).toMatchObject({ name: 'priced', seed: 3, batches: 40, learn: { turnPrice: 0.1, clipLow: 0.2 } });
  });

  it('resolves to itself once it is resolved, so that a stored one reads back', () => {
    const config = resolveConfig({}, 'here');
    expect(resolveConfig(JSON.parse(JSON.stringify(config)), 'there')).toEqual(config);
  });

  it.each([
    [['learn.turnPrize=1'], /unknown key learn.turnPrize \(known: .*turnPrice/],
    [['rollout.topP=0.9'], /unknown key rollout.topP .*drawn from every token.*evaluation.topK, topP and minP/],
    [['learn.schedule=cosine', 'learn.decayShare=0.3'], /learn.decayShare: goes with the schedule constant only/],
    [['learn.rateFloor=0.1'], /learn.rateFloor: goes with the schedules linear and cosine only/],
    [['learn.turnPrice=2'], /learn.turnPrice: .*<=1/],
    [['rollout.groupSize=1'], /rollout.groupSize: .*>=2/],
    [['engine.kind=vllm'], /engine.kind: only the embedded engine trains/],
    [['batches=many'], /batches: .*expected number/],
    [['batches'], /--set batches: write it as key=value/],
    [['seed=1', 'seed.deep=1'], /--set seed.deep=1: seed holds a value, not settings/],
  ])('is refused with %s', (settings, says) => {
    expect(() => resolveConfig(applySettings({}, settings), 'here')).toThrow(says);
  });

  it('comes from a file, and a reward is found beside it', async () => {
    const file = await write('good.config.js', "export default { reward: './mine.js' };\n");
    expect((await loadConfig(file, [])).reward).toBe(join(folder, 'mine.js'));
  });

  it.each([
    ['none.config.js', null, /none.config.js does not exist: write one with defineRun/],
    ['broken.config.js', 'export default {\n', /broken.config.js does not load: /],
    ['bare.config.js', 'export const config = {};\n', /bare.config.js has no default export/],
  ])('is refused as %s', async (name, text, says) => {
    if (text !== null) await write(name, text);
    await expect(loadConfig(join(folder, name), [])).rejects.toThrow(says);
  });
});

describe('a reward', () => {
  const verdict = (status: 'passed' | 'failed'): Verdict => ({
    tests: [{ id: 'a > b', status }],
    missing: [],
    unexpected: [],
    canariesHeld: true,
    completed: true,
    changedPaths: [],
    droppedPaths: [],
  });
  const facts: SessionFacts = {
    turns: 2,
    exactTurns: 2,
    sampledTokens: 9,
    toolCalls: 2,
    parallelTurns: 0,
    retokenizedSampledTokens: 0,
    truncatedBy: null,
  };
  const configured = (reward: string | null, turnPrice: number) =>
    loadReward(resolveConfig({ reward, learn: { turnPrice } }, 'here'));

  it('is the pass, less the price of the turns', async () => {
    const reward = await configured(null, 0.1);
    expect(reward(verdict('passed'), facts)).toBeCloseTo(0.8);
    expect(reward(verdict('failed'), facts)).toBe(0);
  });

  it('is what a module says, less the price of the turns', async () => {
    const module = await write('half.js', 'export default (verdict, facts) => facts.toolCalls / 4;\n');
    expect((await configured(module, 0))(verdict('failed'), facts)).toBe(0.5);
    expect((await configured(module, 0.25))(verdict('failed'), facts)).toBe(0.25);
  });

  it('is refused when it is none', async () => {
    await expect(configured(join(folder, 'none.js'), 0)).rejects.toThrow(/the reward .*none.js does not load: /);
    const bare = await write('bare.js', 'export const reward = () => 1;\n');
    await expect(configured(bare, 0)).rejects.toThrow(/bare.js has no default function: export default/);
    const large = await configured(await write('large.js', 'export default () => 7;\n'), 0);
    expect(() => large(verdict('passed'), facts)).toThrow(
      /large.js gave the reward 7: it must be a number from 0 to 1/,
    );
  });
});

describe('what a command is given', () => {
  it.each([
    [{ tasks: 'seedlings/trian' }, /no tasks 'seedlings\/trian'/],
    [{ evaluation: { tasks: 301 } }, /evaluation.tasks: 301, but seedlings\/unseen has 300: ask for fewer/],
    [{ model: 'nowhere' }, /model folder nowhere has no config.json/],
  ])('cannot start a run with %j, and leaves nothing behind', async (input, says) => {
    const where = join(folder, 'run');
    await expect(createRun(resolveConfig(input, 'here'), where)).rejects.toThrow(says);
    expect(() => RunDirectory.open(where)).toThrow(/is no run directory: it has no config.json/);
  });

  it('is no run directory when its config.json is damaged or of something else', async () => {
    await write('config.json', '{ "formatVersion": 1,');
    expect(() => RunDirectory.open(folder)).toThrow(/config.json cannot be read \(.*\): restore it from a copy/);
    await write('config.json', '{ "hidden_size": 32 }');
    expect(() => RunDirectory.open(folder)).toThrow(/its config.json is not of a run/);
    await write('config.json', '{ "formatVersion": 1, "numericsVersion": 999 }');
    expect(() => RunDirectory.open(folder)).toThrow(/numerics 999; .*use the version that made the run/);
  });

  it('is no list of ids, or no tasks', async () => {
    const words = await write('words.json', '["one"]');
    await expect(scoreFile('model', words, false)).rejects.toThrow(
      /is not a JSON array of token ids, e.g. \[12, 7, 905\]/,
    );
    expect(() => parseTasks('seedlings/unseen:900')).toThrow(/seedlings\/unseen has 300 tasks/);
    expect(() => parseTasks('seedlings/train')).toThrow(/needs a count, e.g. seedlings\/train:300/);
  });
});
