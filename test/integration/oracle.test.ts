/**
 * The loop without a model: scripted completions through the real proxy, agent, sandbox and verifier.
 *
 * An oracle that knows the solutions passes every task, and a policy that ends at once none: what lies between is the
 * policy's own. Both know no more of the task that they are asked about than the prompt in token ids.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import type { Task } from '../../src/core/task.ts';
import { passReward } from '../../src/core/verdict.ts';
import { ScriptedSampler } from '../../src/engine/engines/scripted.ts';
import { builtinHarness } from '../../src/harness/harnesses/builtin.ts';
import { createProxy } from '../../src/proxy/proxy.ts';
import { passed, workFigures } from '../../src/rollout/evaluation.ts';
import { evaluate, type ManagerOptions } from '../../src/rollout/manager.ts';
import { chatTemplate, endToken } from '../../src/run/seedling/format.ts';
import { wasmLimits, wasmSandboxes } from '../../src/sandbox/sandboxes/wasm.ts';
import { seedlings } from '../../src/tasks/seedlings/seedlings.ts';
import { testVerifier } from '../../src/tasks/verifiers/tests.ts';
import { Renderer } from '../../src/tokens/renderer.ts';
import { Tokenizer } from '../../src/tokens/tokenizer.ts';
import { Journal } from '../../src/trajectory/journal.ts';
import { smallTokenizer } from './run-fixture.ts';

const counts = { train: 8, unseen: 7, transfer: 7 };
const tasks = Object.entries(counts).flatMap(([set, count]) =>
  Array.from({ length: count }, (_, index) => seedlings(`seedlings/${set}`).task(37 * index)),
);
const contextLength = 16_384;
const trained = smallTokenizer(700);
const tokenizer = new Tokenizer(trained.tokenizerJson, trained.tokenizerConfig);
const stopId = tokenizer.idOf(endToken) as number;

type Call = readonly [name: string, args: Readonly<Record<string, string | number>>];
/** The calls of each turn. */
type Script = (task: Task) => readonly (readonly Call[])[];

/** Reads what is wrong, mends it line by line and tests, ends. */
const oracle: Script = (task) => [
  Object.keys(task.solution).map((path) => ['read', { path }]),
  [
    ...Object.entries(task.solution).flatMap(([path, right]) => edits(path, task.files[path] ?? '', right)),
    ['test', {}],
  ],
  [['finish', {}]],
];
const noOp: Script = () => [[['finish', {}]]];

function edits(path: string, wrong: string, right: string): Call[] {
  const before = wrong.split('\n');
  return right.split('\n').flatMap((text, at): Call[] => {
    return text === before[at] ? [] : [['edit', { path, line: at + 1, new: text }]];
  });
}

/** What a policy would sample: the turn that the conversation has come to, of the script for the task that it is about. */
function completionOf(prompt: Int32Array, script: Script): Int32Array {
  const text = tokenizer.decode(prompt);
  const task = tasks.find(({ statement }) => text.includes(statement));
  if (task === undefined) throw new Error('the prompt holds the statement of no task');
  const calls = script(task)[text.split('<|assistant|>').length - 2] ?? [];
  const said = calls.map(([name, args]) => {
    const json = Object.entries(args).map(([key, value]) => `"${key}": ${JSON.stringify(value)}`);
    return `<tool_call>{"name": "${name}", "arguments": {${json.join(', ')}}}</tool_call>`;
  });
  return Int32Array.from([...tokenizer.encode(said.join('')), stopId]);
}

let open = new AsyncDisposableStack();
afterEach(async () => {
  await open.disposeAsync();
  open = new AsyncDisposableStack();
});

async function manager(script: Script): Promise<{ readonly options: ManagerOptions; readonly journal: Journal }> {
  const folder = open.adopt(await mkdtemp(join(tmpdir(), 'espalier-oracle-')), (path) => rm(path, { recursive: true }));
  const journal = open.adopt(await Journal.open(folder), (opened) => opened.close());
  const sampler = new ScriptedSampler({
    contextLength,
    vocabSize: tokenizer.vocabSize,
    complete: (prompt) => completionOf(prompt, script),
  });
  const renderer = new Renderer(tokenizer, chatTemplate, [stopId]);
  const proxy = open.adopt(await createProxy({ sampler, renderer, journal, modelName: 'policy' }), (p) => p.close());
  const sandboxes = open.adopt(wasmSandboxes({ threads: 1 }), (opened) => opened.close());
  return {
    journal,
    options: {
      services: {
        sessions: proxy.sessions,
        sandboxes,
        verifier: testVerifier({ sandboxes, limits: wasmLimits, seed: 1n }),
        harness: builtinHarness(),
        reward: passReward,
        clock: systemClock,
      },
      settings: {
        model: 'policy',
        temperature: 1,
        maxTokensPerTurn: 1024,
        trainable: true,
        limits: { maxTurns: 6, timeMs: 300_000 },
        sandboxLimits: wasmLimits,
        maxAttempts: 1,
      },
      runSeed: 0,
      concurrency: 6,
      maxFailures: 0,
      signal: new AbortController().signal,
    },
  };
}

async function evaluated(script: Script) {
  const { options, journal } = await manager(script);
  const { groups, failures } = await evaluate({ ...options, scope: 'eval/0', tasks, rolloutsPerTask: 1 });
  expect(failures).toBe(0);
  const turns = journal.index.rollouts().flatMap((rollout) => journal.index.turns(rollout));
  return { groups, turns, figures: workFigures(groups) };
}

it('an oracle passes every task, with exact turns and several calls in one', async () => {
  const { groups, turns, figures } = await evaluated(oracle);
  const failed = groups.filter(({ rollouts }) => !rollouts.every(passed)).map(({ task }) => task.id);
  expect(failed).toEqual([]);
  expect(figures).toMatchObject({ rollouts: tasks.length, passRate: 1, reward: 1, turnsMean: 3, truncated: 0 });
  expect(figures.exactTurns).toBe(figures.turns);
  expect(figures.retokenizedSampledTokens).toBe(0);
  expect(figures.parallelShare).toBeGreaterThan(1 / 4);
  expect(turns.length).toBe(3 * tasks.length);
  expect(turns.every(({ fidelity, break: broke }) => fidelity === 'exact' && broke === null)).toBe(true);
  // The tasks are not all of one kind: some need two files.
  expect(new Set(tasks.map(({ origin }) => origin.fileCount)).size).toBeGreaterThan(1);
});

it('a policy that ends at once passes none', async () => {
  const { figures, turns } = await evaluated(noOp);
  expect(figures).toMatchObject({ rollouts: tasks.length, passRate: 0, reward: 0, turnsMean: 1, truncated: 0 });
  expect(turns.every(({ fidelity }) => fidelity === 'exact')).toBe(true);
});
