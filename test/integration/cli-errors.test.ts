/** Whatever is wrong with what a user gives, the command line says in one line how to mend it, and fails. */
import { existsSync, rmSync } from 'node:fs';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { StoreWriter } from '../../src/store/writer.ts';
import { storeDirectory } from '../../src/trajectory/journal.ts';
import { encodeRecord } from '../../src/trajectory/records.ts';
import { type Ended, espalier, makeWorkplace, startEspalier, writeConfig } from './run-fixture.ts';

const patience = 300_000;
let folder = '';

beforeAll(async () => {
  folder = await makeWorkplace({ batches: 1 });
  await mkdir(join(folder, 'run'));
  await writeFile(join(folder, 'run', 'config.json'), '{ "formatVersion": 1, "numericsVersion": 2 }\n');
  await cp(join(folder, 'model'), join(folder, 'no-tokenizer'), { recursive: true });
  rmSync(join(folder, 'no-tokenizer', 'tokenizer.json'));
  await writeConfig(folder, { batches: 1, ...({ rolout: {} } as object) }, 'unknown-key.config.ts');
  await writeFile(join(folder, 'large-reward.ts'), 'export default () => 7;\n');
  await writeFile(join(folder, 'ids.json'), '[1, 2, 100000]');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** One line on stderr, and failure. */
function expectOneLine(ended: Ended, line: RegExp | string): void {
  expect(ended.stderr).toMatch(/^espalier: [^\n]+\n$/);
  expect(ended.stderr).toMatch(line);
  expect(ended).toMatchObject({ code: 1, signal: null });
}

describe('espalier says in one line what is wrong and how to go on, and fails', () => {
  const cases: readonly (readonly [what: string, args: readonly string[], says: RegExp])[] = [
    ['an unknown key', ['train', 'unknown-key.config.ts'], /unknown key rolout \(known: name, model, .*rollout/],
    ['an unknown --set', ['train', '--set', 'learn.turnPrize=1'], /unknown key learn.turnPrize \(known: .*turnPrice/],
    ['no model', ['train', '--set', 'model=nowhere'], /model folder nowhere has no config.json/],
    ['no tokenizer', ['train', '--set', 'model=no-tokenizer'], /no-tokenizer has no tokenizer.json; copy /],
    ['unknown tasks', ['train', '--set', 'tasks=seedlings/trian'], /no tasks 'seedlings\/trian': use one of seedl/],
    ['a directory with a run', ['train', '--run', 'run'], /run holds a run: continue it with --resume, or name ano/],
    ['nothing to resume', ['train', '--resume', '--run', 'new'], /new is no run directory: it has no config.json/],
    ['ids of no token', ['score', 'model', '--ids', 'ids.json'], /token 2 is 100000, not an id of a vocabulary of \d+/],
    ['no run to replay', ['replay', 'model'], /model is no run directory: its config.json is not of a run/],
  ];

  it.each(cases)('%s', { timeout: patience }, async (_, args, says) => {
    expectOneLine(await espalier(folder, ...args), says);
    // A start that failed can be tried again under the same name.
    expect(existsSync(join(folder, 'runs'))).toBe(false);
  });

  it('an unknown rollout', { timeout: patience }, async () => {
    const store = await StoreWriter.open(storeDirectory(join(folder, 'run')));
    const { kind, payload } = encodeRecord({ type: 'note', note: {} });
    await store.append(kind, payload);
    await store.close();
    const ended = await espalier(folder, 'inspect', 'run', '--rollout', 'batch/0/group/1/rollout/2');
    expectOneLine(ended, /--rollout batch\/0\/group\/1\/rollout\/2: no such rollout in run; the run has none yet/);
  });

  it('a port in use', { timeout: patience }, async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    const { port } = server.address() as AddressInfo;
    const ended = await espalier(folder, 'train', '--run', 'port', '--set', `proxy.port=${port}`);
    server.close();
    expectOneLine(
      ended,
      `cannot listen on 127.0.0.1:${port}: the port is in use: choose another, or 0 for any free one`,
    );
  });

  it('a reward that is none, when it is first asked for', { timeout: patience }, async () => {
    const ended = await espalier(folder, 'train', '--run', 'reward', '--set', 'reward=large-reward.ts');
    expectOneLine(ended, /large-reward.ts gave the reward 7: it must be a number from 0 to 1/);
  });
});

/** A file that may grow no further fails in the same calls as a full disk, and needs no root. */
describe('a run on a full disk', () => {
  it('stops with one line, and goes on when there is space', { timeout: patience }, async () => {
    const run = ['train', '--run', 'full'];
    // Enough for the weights and not for the optimizer's state beside them.
    const ended = await startEspalier(folder, run, { blocks: 400 }).ended;
    expectOneLine(ended, /cannot write .*full\/checkpoints\/\d+ \(EFBIG/);
    expect(await espalier(folder, ...run, '--resume')).toMatchObject({ code: 0, stderr: '' });
    await rm(join(folder, 'full'), { recursive: true });
  });

  it('stops with one line when the record cannot grow', { timeout: patience }, async () => {
    const run = ['train', '--run', 'full'];
    // Evaluates until the store has met the limit, which the model's files are below.
    const settings = ['--set', 'evaluation.tasks=60', '--set', 'rollout.maxTokensPerTurn=8'];
    const ended = await startEspalier(folder, [...run, ...settings], { blocks: 320 }).ended;
    expectOneLine(ended, /cannot write .*full\/store\/.*segment: EFBIG.*: .* resume the run/);
  });
});
