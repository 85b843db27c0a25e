import { existsSync, readdirSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  answerTo,
  call,
  RecordedSession,
  renderer,
  testRollout,
  user,
  writeRecordedRun,
} from '../../test/recorded-session.ts';
import { groupId, rolloutId } from '../core/ids.ts';
import type { ToolDefinition } from '../core/tool.ts';
import { turnsOf } from '../trajectory/turns.ts';
import type { AtifTrajectory } from './export/atif.ts';
import { type ExportOptions, exportRun } from './export.ts';
import { atifSchema } from './import/atif-schema.ts';
import { importFiles } from './import.ts';
import { claimFolder } from './serving/folder.ts';

const token = `ghp_${'aB3d'.repeat(9)}`;
const tools: ToolDefinition[] = [
  { name: 'read', description: 'reads', parameters: { type: 'object', properties: {} } },
];
let folder = '';
let run = '';
let leaky = '';

const session = new RecordedSession();
const secretive = new RecordedSession(rolloutId(groupId('batch/0', 0), 1));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-export-'));
  [run, leaky] = [join(folder, 'run'), join(folder, 'leaky')];
  const asked = [{ role: 'system' as const, content: 'be brief' }, user('question')];
  const first = session.ask(asked, call('read', { path: 'x' }) + call('read', { path: 'y' }), tools);
  const history = [...asked, first, answerTo(first, 'text of x'), answerTo(first, 'text of y', 1)];
  session.ask([...history, user('left')], '<think>\nhm\n</think>\n\nthe left answer', tools);
  session.ask([...history, user('right')], '<tool_call>{"name": "read", "arguments": [1]}</tool_call>', tools);
  await writeRecordedRun(run, [session], [session.outcome({ reward: 0.5 })]);

  const clean = secretive.ask([user('begin')], 'ready');
  const leak = [user('begin'), clean, user(`use ${token}`)];
  const reply = secretive.ask(leak, call('push', { token }));
  secretive.ask([...leak, reply, answerTo(reply, 'pushed')], 'done');
  secretive.ask([user('begin'), clean, user('something else')], 'fine');
  secretive.ask([...leak, { role: 'assistant', content: 'rewritten', toolCalls: [] }, user('go on')], 'so');
  // Its parent is the last turn, which has the secret, and it takes up tokens before it.
  secretive.ask([user('a title')], 'Title');
  await writeRecordedRun(leaky, [session, secretive]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const samples = { format: 'samples', per: 'trajectory', redact: false } as const;
const atif = { ...samples, format: 'atif' } as const;

async function exported(from: string, name: string, options: Omit<ExportOptions, 'out'>): Promise<unknown[]> {
  const out = join(folder, name);
  await exportRun(from, { ...options, out });
  return (await readFile(out, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe('samples', () => {
  it('are the trajectories, with ids, mask, versions and log-probabilities to the bit', async () => {
    const rows = (await exported(run, 'a.jsonl', samples)) as Record<string, never>[];
    const [turn] = turnsOf(session.turns);
    expect(rows.map(({ turns }) => turns)).toEqual([[0, 1], [2]]);
    expect(rows[0]).toMatchObject({
      formatVersion: 1,
      rollout: testRollout,
      group: null,
      task: 'seedlings/train/7',
      outcome: 'completed',
      solved: null,
      reward: 0.5,
      fidelity: 'exact',
      redacted: false,
    });
    const { ids, lossMask, behaviorLogprobs, versions } = rows[0] as unknown as Record<string, number[]>;
    const start = turn?.prompt.length ?? 0;
    const end = start + (turn?.completion.length ?? 0);
    expect(ids?.slice(0, end)).toEqual([...(turn?.prompt ?? []), ...(turn?.completion ?? [])]);
    expect(lossMask?.slice(0, end)).toEqual(ids?.slice(0, end).map((_, i) => (i < start ? 0 : 1)));
    expect(Float32Array.from(behaviorLogprobs?.slice(start, end) ?? [])).toEqual(turn?.behaviorLogprobs);
    expect(versions?.slice(start - 1, start + 1)).toEqual([-1, 3]);
  });

  it('can be the requests, and the same record gives the same bytes', async () => {
    const rows = (await exported(run, 'b.jsonl', { ...samples, per: 'request' })) as { turns: number[] }[];
    expect(rows.map(({ turns }) => turns)).toEqual([[0], [1], [2]]);
    await exported(run, 'c.jsonl', { ...samples, per: 'request' });
    expect(await readFile(join(folder, 'c.jsonl'))).toEqual(await readFile(join(folder, 'b.jsonl')));
  });
});

describe('a Parquet file', () => {
  it('holds the same rows as the lines, log-probabilities to the bit, and redacted ones as nulls', async () => {
    const rows = (await exported(leaky, 'h.jsonl', { ...samples, redact: true })) as Record<string, unknown>[];
    const out = join(folder, 'h.parquet');
    await exportRun(leaky, { ...samples, redact: true, out });
    const table = await parquetReadObjects({ file: await asyncBufferFromFile(out) });
    expect(table).toHaveLength(6);
    // The reader gives undefined for a list that is null.
    const comparable = (row: Record<string, unknown>) => {
      const { behaviorLogprobs, ...rest } = row as { behaviorLogprobs?: number[] | null };
      return { ...rest, behaviorLogprobs: behaviorLogprobs ? Float32Array.from(behaviorLogprobs) : null };
    };
    const defined = table.map((row) => Object.fromEntries(Object.entries(row).map(([k, v]) => [k, v ?? null])));
    expect(defined.map(comparable)).toEqual(rows.map(comparable));
    expect(defined.map(({ ids }) => ids === null)).toEqual([...[false, false, true], ...[false, true, false]]);
  });
});

describe('trajectories', () => {
  it('are valid ATIF, one document a branch, with shared steps marked as copied', async () => {
    const documents = (await exported(run, 'd.jsonl', atif)) as AtifTrajectory[];
    for (const document of documents) expect(atifSchema.parse(document)).toEqual(document);
    const [left, right] = documents;
    expect(documents.map(({ trajectory_id }) => trajectory_id)).toEqual([
      `${testRollout}/branch/0`,
      `${testRollout}/branch/1`,
    ]);
    expect(left).toMatchObject({
      schema_version: 'ATIF-v1.7',
      session_id: testRollout,
      agent: { name: 'espalier-builtin', tool_definitions: [{ type: 'function', function: { name: 'read' } }] },
    });
    expect(left?.steps.map(({ source }) => source)).toEqual(['system', 'user', 'agent', 'user', 'agent']);
    const turns = turnsOf(session.turns);
    expect(left?.steps[2]).toMatchObject({
      tool_calls: [
        { tool_call_id: 'call_1_0', function_name: 'read', arguments: { path: 'x' } },
        { tool_call_id: 'call_1_1', function_name: 'read', arguments: { path: 'y' } },
      ],
      observation: {
        results: [
          { source_call_id: 'call_1_0', content: 'text of x' },
          { source_call_id: 'call_1_1', content: 'text of y' },
        ],
      },
      metrics: {
        prompt_tokens: turns[0]?.prompt.length,
        prompt_token_ids: [...(turns[0]?.prompt ?? [])],
        completion_token_ids: [...(turns[0]?.completion ?? [])],
      },
      llm_call_count: 1,
    });
    expect(left?.steps[4]).toMatchObject({ message: 'the left answer', reasoning_content: 'hm' });
    expect(right?.steps.map((step) => step.is_copied_context === true)).toEqual([true, true, true, false, false]);
    expect(right?.steps[2]?.metrics).toBeUndefined();
    expect(right?.steps[4]?.tool_calls).toEqual([
      { tool_call_id: 'call_2_0', function_name: 'read', arguments: {}, extra: { arguments_text: '[1]' } },
    ]);
    expect(right?.final_metrics).toEqual({
      total_prompt_tokens: turns[2]?.prompt.length,
      total_completion_tokens: turns[2]?.completion.length,
      total_steps: 5,
    });
    expect(right?.extra).toMatchObject({ branch: 1, fork: { trajectory_id: `${testRollout}/branch/0`, messages: 5 } });
  });

  it('come back as the conversations that they were, and only what is new is learned', async () => {
    const out = join(folder, 'trajectories');
    await exportRun(run, { ...atif, out });
    const names = readdirSync(out, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json'));
    expect(names.sort()).toEqual([`${testRollout}/branch/0.json`, `${testRollout}/branch/1.json`]);
    const back = join(folder, 'back.jsonl');
    const text = await importFiles([out], { out: back, model: join(run, 'checkpoints', '0') });
    expect(text).toMatch(/back.jsonl: 2 conversations, 14 messages, 3 replies to learn and 1 in context only\n/);
    const [, right] = (await readFile(back, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(right.messages.map(({ weight }: { weight?: number }) => weight)).toEqual([
      0,
      0,
      0,
      0,
      0,
      undefined,
      undefined,
    ]);
    expect(right.messages[6].tool_calls[0].function).toEqual({ name: 'read', arguments: '[1]' });
    await expect(exportRun(run, { ...atif, out })).rejects.toThrow(/holds something already: name a new folder/);
  });
});

it('a turn that a foreign upstream answered is a step with its counts, and no sample', async () => {
  const relayed = new RecordedSession();
  const none = { completion: new Int32Array(), behaviorLogprobs: new Float32Array(), versions: new Int32Array() };
  const relay = {
    path: '/v1/messages',
    model: 'upstream-1',
    usage: { promptTokens: 12, completionTokens: 3 },
    thinking: 'hm',
  };
  const told = { ...none, entropies: new Float32Array(), tail: new Int32Array(), reused: 0, parent: null };
  relayed.ask([user('question')], 'answer', [], { ...told, fidelity: 'text', relay });
  const from = join(folder, 'relayed');
  await writeRecordedRun(from, [relayed]);
  const [document] = (await exported(from, 'i.jsonl', atif)) as AtifTrajectory[];
  expect(atifSchema.parse(document)).toEqual(document);
  expect(document?.steps[1]).toEqual({
    step_id: 2,
    source: 'agent',
    model_name: 'upstream-1',
    message: 'answer',
    reasoning_content: 'hm',
    metrics: {
      prompt_tokens: 12,
      completion_tokens: 3,
      extra: { fidelity: 'text', reused_tokens: 0, retokenized_sampled_tokens: 0 },
    },
    llm_call_count: 1,
    extra: { turn: 0, finish_reason: 'stop' },
  });
  const text = await exportRun(from, { ...samples, out: join(folder, 'i.parquet') });
  expect(text).toMatch(/: 0 samples of 0 tokens, 0 learned$/);
});

it('what was served is exported with the tokenizer of its model', async () => {
  const from = join(folder, 'served');
  await cp(join(leaky, 'store'), join(from, 'store'), { recursive: true });
  const model = join(leaky, 'checkpoints', '0');
  await claimFolder({ path: from, known: null }, { kind: 'serve', model, sha256: '' });
  const out = join(folder, 'j.jsonl');
  const text = await exportRun(from, { ...atif, redact: true, out });
  expect(text).not.toContain('no tokenizer');
  const [line] = (await readFile(out, 'utf8')).split('\n');
  expect(JSON.parse(line ?? '')).toMatchObject({ agent: { name: 'unknown', version: 'unknown', model_name: model } });
});

describe('secrets', () => {
  it('stop an export, which names where they stand and not what they are, and writes nothing', async () => {
    for (const options of [samples, atif]) {
      const out = join(folder, 'never.jsonl');
      const failure = await exportRun(leaky, { ...options, out }).catch((thrown: Error) => thrown);
      const text = (failure as Error).message;
      expect(text).toMatch(/^nothing was exported.*rollout\/1 turn 1: GitHub token.*--redact/);
      expect(text).not.toContain(token.slice(4));
      expect(text).not.toMatch(/turn [0235]:/);
      expect(existsSync(out) || existsSync(`${out}.tmp`)).toBe(false);
    }
  });

  it('do not leave as ids either when they are redacted', async () => {
    const rows = (await exported(leaky, 'e.jsonl', { ...samples, redact: true })) as {
      rollout: string;
      turns: number[];
      ids: number[] | null;
      lossMask: number[] | null;
      redacted: boolean;
    }[];
    const those = rows.filter(({ rollout }) => rollout === secretive.rollout);
    expect(those.map(({ turns, redacted }) => [turns, redacted])).toEqual([
      [[0, 1, 2], true],
      [[3], false],
      [[4], true],
      [[5], false],
    ]);
    expect(those[0]).toMatchObject({ ids: null, lossMask: null });
    for (const { ids } of rows) {
      if (ids !== null) expect(renderer.tokenizer.decode(ids)).not.toContain(token.slice(4, 16));
    }
    const documents = (await exported(leaky, 'f.jsonl', { ...atif, redact: true })) as AtifTrajectory[];
    expect(JSON.stringify(documents)).not.toContain(token.slice(4, 16));
    const leak = documents.find(({ trajectory_id }) => trajectory_id === `${secretive.rollout}/branch/0`);
    expect(leak?.steps.map(({ metrics }) => metrics?.completion_token_ids === undefined)).toEqual([
      ...[true, false, true, true, true],
    ]);
    expect(leak?.steps[3]?.tool_calls?.[0]?.arguments).toEqual({ token: '[redacted: GitHub token]' });
    for (const document of documents) expect(atifSchema.parse(document)).toEqual(document);
  });

  it('elsewhere in a run do not stop the export of another rollout', async () => {
    const rows = await exported(leaky, 'g.jsonl', { ...samples, rollout: testRollout });
    expect(rows).toHaveLength(2);
  });
});

it('an export says what it cannot write', async () => {
  const refused = (options: Partial<ExportOptions>) => exportRun(run, { ...samples, out: 'x.jsonl', ...options });
  await expect(refused({ out: 'x' })).rejects.toThrow(/name a .parquet or a .jsonl file/);
  await expect(refused({ format: 'atif', out: 'x.parquet' })).rejects.toThrow(/name a folder/);
  await expect(refused({ format: 'atif', out: 'x.json' })).rejects.toThrow(/name a folder/);
  await expect(refused({ rollout: 'batch/9' })).rejects.toThrow(/--rollout batch\/9: no such rollout/);
});
