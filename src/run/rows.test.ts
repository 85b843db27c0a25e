import { appendFileSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { evalRow, metricsRow } from '../../test/example-run.ts';
import { plainView } from '../report/plain.ts';
import { readEvals, readMetrics } from '../report/rows.ts';
import { resolveConfig } from './config.ts';
import { RunDirectory } from './directory.ts';
import { Rows } from './rows.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-rows-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const view = plainView({ write: () => true });
const opened = (name: string) => RunDirectory.create(resolveConfig({}, 'here'), join(folder, name));

it('a row that a crash tore is cut and written again, and no other is repeated', async () => {
  const directory = await opened('torn');
  const rows = new Rows(directory, view);
  await rows.metrics(metricsRow(1));
  await rows.evaluation(evalRow(0));
  for (const name of ['metrics.jsonl', 'eval.jsonl']) appendFileSync(directory.file(name), '{"formatVersion":1,"st');

  const resumed = new Rows(RunDirectory.open(directory.path), view);
  for (const step of [1, 2]) await resumed.metrics(metricsRow(step));
  for (const step of [0, 2]) await resumed.evaluation(evalRow(step));
  expect(readMetrics(directory.path).map(({ step }) => step)).toEqual([1, 2]);
  expect(readEvals(directory.path).map(({ step }) => step)).toEqual([0, 2]);
  expect(readFileSync(directory.file('metrics.jsonl'), 'utf8').split('\n').length).toBe(3);
});

it('an evaluation that was made before keeps the seconds that it took', async () => {
  const directory = await opened('seconds');
  await new Rows(directory, view).evaluation(evalRow(4, { seconds: 61 }));
  const again = await new Rows(directory, view).evaluation(evalRow(4, { seconds: 0.1 }));
  expect(again).toEqual(evalRow(4, { seconds: 61 }));
  expect(readEvals(directory.path)).toEqual([again]);
});

it('the same weights on more tasks are another evaluation', async () => {
  const directory = await opened('tasks');
  const rows = new Rows(directory, view);
  for (const tasks of [100, 300]) await rows.evaluation(evalRow(4, { tasks }));
  expect(readEvals(directory.path).map(({ tasks }) => tasks)).toEqual([100, 300]);
});
