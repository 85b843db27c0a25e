import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderer } from '../../test/recorded-session.ts';
import { sftBatches, sftSteps } from '../learn/stages/sft.ts';
import type { Conversation } from './import/conversation.ts';
import { demonstrationFrom } from './import/demonstrations.ts';
import { readConversations } from './import/read.ts';
import { importFiles } from './import.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-import-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, ...lines: unknown[]): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'));
  return path;
}

async function conversations(path: string): Promise<Conversation[]> {
  const all: Conversation[] = [];
  for await (const one of readConversations(path)) all.push(one);
  return all;
}

const said = (content: string) => ({ role: 'assistant', content });
const asked = (content: string) => ({ role: 'user', content });

describe('chat JSONL', () => {
  const line = {
    messages: [
      { role: 'developer', content: 'be brief' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'read' },
          { type: 'text', text: 'x' },
        ],
      },
      {
        role: 'assistant',
        content: null,
        reasoning_content: 'hm',
        tool_calls: [
          { id: 'c1', type: 'function', function: { name: 'read', arguments: '{"path": "x"}' } },
          { type: 'function', function: { name: 'read', arguments: { path: 'y' } } },
        ],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'text of x' },
      { role: 'assistant', content: 'bad', weight: 0 },
      { role: 'user', content: 'again' },
      { role: 'assistant', content: 'good' },
    ],
    tools: [{ type: 'function', function: { name: 'read', parameters: { type: 'object' } } }],
    source: 'passed over',
  };

  it('is read in all that OpenAI lets stand there', async () => {
    const [one, bare] = await conversations(await file('a.jsonl', line, '', [asked('a'), said('b')]));
    expect(one?.messages.slice(0, 3)).toEqual([
      { role: 'system', content: 'be brief' },
      { role: 'user', content: 'read\nx' },
      {
        role: 'assistant',
        content: '<think>\nhm\n</think>\n\n',
        toolCalls: [
          { id: 'c1', name: 'read', arguments: '{"path": "x"}' },
          { id: 'call_2_1', name: 'read', arguments: '{"path":"y"}' },
        ],
      },
    ]);
    expect(one?.tools).toEqual([{ name: 'read', description: '', parameters: { type: 'object' } }]);
    expect([...(one?.unlearned ?? [])]).toEqual([4]);
    expect(bare?.messages).toHaveLength(2);
  });

  it('comes back the same from the file that import writes', async () => {
    const path = await file('b.jsonl', line);
    const [once, twice] = [join(folder, 'once.jsonl'), join(folder, 'twice.jsonl')];
    await importFiles([path], { out: once });
    await importFiles([once], { out: twice });
    expect(await readFile(twice)).toEqual(await readFile(once));
    expect(await conversations(once)).toEqual(await conversations(path));
  });

  it('is refused with file, line and field', async () => {
    const out = join(folder, 'never.jsonl');
    const cases: [unknown, RegExp][] = [
      ['{', /c.jsonl line 2: not JSON/],
      [{ messages: [] }, /line 2: messages: /],
      [{ messages: [{ role: 'narrator', content: '' }] }, /line 2: messages.0.role: /],
      [{ messages: [{ role: 'tool', content: 'x' }] }, /line 2: messages.0.tool_call_id: /],
      [{ messages: [asked('x')], functions: [] }, /line 2: functions: the old functions form is not read/],
    ];
    for (const [wrong, says] of cases) {
      const path = await file('c.jsonl', [asked('a'), said('b')], wrong);
      await expect(importFiles([path], { out })).rejects.toThrow(says);
    }
    const image = { role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:' } }] };
    await expect(importFiles([await file('c.jsonl', [image, said('b')])], { out })).rejects.toThrow(
      /messages.0.content/,
    );
    await expect(importFiles([await file('c.jsonl', [asked('x')])], { out })).rejects.toThrow(
      /no conversation with a re/,
    );
    await expect(importFiles([join(folder, 'gone.jsonl')], { out })).rejects.toThrow(/cannot read .*gone.jsonl/);
  });
});

describe('ATIF', () => {
  const document = (steps: object[], change: object = {}) => ({
    schema_version: 'ATIF-v1.7',
    agent: { name: 'a', version: '1' },
    steps: steps.map((step, at) => ({ step_id: at + 1, ...step })),
    ...change,
  });
  const user = (message: string) => ({ source: 'user', message });
  const agent = (message: string, more: object = {}) => ({ source: 'agent', message, ...more });

  it('does not teach what was copied, or what no model said', async () => {
    const [one] = await conversations(
      await file(
        'd.json',
        document([
          { ...user('a'), is_copied_context: true },
          agent('b', { is_copied_context: true }),
          agent('', { llm_call_count: 0, tool_calls: [{ tool_call_id: 'c', function_name: 'f', arguments: {} }] }),
          user('c'),
          agent('d', { observation: { results: [{ content: 'seen' }] } }),
        ]),
      ),
    );
    expect([...(one?.unlearned ?? [])]).toEqual([0, 1, 2]);
    expect(one?.messages.at(-1)).toEqual({ role: 'user', content: 'seen' });
  });

  it('begins another conversation where the context is replaced, and one for each sub-agent', async () => {
    const compaction = {
      source: 'system',
      message: 'compacted',
      observation: { results: [{ content: 'summary' }] },
      extra: { context_management: { type: 'compaction', boundary: 'replace' } },
    };
    const inner = document([user('x'), agent('y')], { trajectory_id: 'inner' });
    const found = await conversations(
      await file(
        'e.jsonl',
        document([user('a'), agent('b'), compaction, agent('c')], { subagent_trajectories: [inner] }),
      ),
    );
    expect(found.map(({ messages }) => messages.map(({ content }) => content))).toEqual([
      ['a', 'b'],
      ['summary', 'c'],
      ['x', 'y'],
    ]);
  });

  it('is refused where its own validator refuses it, and where a conversation cannot hold it', async () => {
    const image = [{ type: 'image', source: { media_type: 'image/png', path: 'a.png' } }];
    const results = (call: string) => ({ observation: { results: [{ source_call_id: call, content: '' }] } });
    const cases: [object, RegExp][] = [
      [document([user('a')], { schema_version: 'ATIF-v2.0' }), /schema_version: versions ATIF-v1.0 to ATIF-v1.8/],
      [document([{ ...user('a'), step_id: 2 }]), /steps.0.step_id: expected 1/],
      [document([{ ...user('a'), metrics: {} }]), /steps.0.metrics: only a step of the agent/],
      [document([agent('a', results('c9'))]), /c9 is no tool call of the step/],
      [document([{ ...user('a'), note: '' }]), /steps.0: /],
      [document([agent('a', { llm_call_count: 0, metrics: {} })]), /steps.0.metrics: a step without a call/],
      [document([{ source: 'user', message: image }]), /step 1 has image content/],
    ];
    for (const [wrong, says] of cases) await expect(conversations(await file('f.json', wrong))).rejects.toThrow(says);
  });
});

it('conversations become demonstrations that the supervised stage takes', async () => {
  const path = await file('g.jsonl', [asked('a'), said('one'), asked('b'), said('two')], {
    messages: [{ ...asked('a'), weight: 0 }, { ...said('one'), weight: 0 }, asked('c'), said('three')],
  });
  const demonstrations = (await conversations(path)).map((one) => demonstrationFrom(one, renderer, 0.25));
  const [whole, half] = demonstrations;
  expect(renderer.tokenizer.decode(whole!.ids)).toBe(
    '<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\none<|im_end|>\n' +
      '<|im_start|>user\nb<|im_end|>\n<|im_start|>assistant\ntwo<|im_end|>',
  );
  const learned = (weights: Float32Array, ids: Int32Array, weight: number) =>
    renderer.tokenizer.decode(ids.filter((_, i) => weights[i] === weight));
  expect(learned(whole!.weights, whole!.ids, 1)).toBe('one<|im_end|>two<|im_end|>');
  expect(learned(half!.weights, half!.ids, 1)).toBe('three<|im_end|>');
  expect(learned(half!.weights, half!.ids, 0)).toBe(
    '<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\none<|im_end|>',
  );
  const plan = { perStep: 2, epochs: 2, seed: 0 };
  expect([...sftBatches(demonstrations, plan)]).toHaveLength(sftSteps(2, plan));
});
