import type OpenAI from 'openai';
import { afterEach, describe, expect, it } from 'vitest';
import { groupId, rolloutId } from '../../src/core/ids.ts';
import { storeDirectory } from '../../src/trajectory/journal.ts';
import { readRun } from '../../src/trajectory/run-index.ts';
import { mergedSamples, requestSamples } from '../../src/trajectory/samples.ts';
import { pathOf, turnsOf } from '../../src/trajectory/turns.ts';
import {
  clientOf,
  LetterSampler,
  type Rig,
  removeDirectory,
  sessionOptions,
  startRig,
  tokenizer,
} from './proxy-fixture.ts';

type ChatMessage = OpenAI.ChatCompletionMessageParam;
const rollout = rolloutId(groupId('step/0', 0), 0);
const read = (path: string): string => `<tool_call>{"name": "read", "arguments": {"path": "${path}"}}</tool_call>`;
const script = (turn: number): string =>
  [
    `I read both.\n${read('a.js')}${read('b.js')}`,
    read('c.js'),
    '<tool_call>\n{"name": "edit", "arguments": {"line": 3,  "path": "a.js", "new": "  return a;"}}\n</tool_call>',
    '<tool_call>{"name": "edit", "arguments": {"path": "a.js", broken}}</tool_call>',
    'Done é 漢 😀.',
  ][turn] ?? 'More.';

let rig: Rig | null = null;
afterEach(async () => {
  await rig?.stop();
  if (rig !== null) await removeDirectory(rig.directory);
  rig = null;
});

/** What an agent does: answers each call, sends everything back. `alter` is how it mangles what it sends back. */
async function work(
  client: OpenAI,
  stream: boolean,
  alter: (message: OpenAI.ChatCompletionMessage) => ChatMessage = (message) => message,
): Promise<OpenAI.ChatCompletionMessage[]> {
  const messages: ChatMessage[] = [{ role: 'user', content: 'Fix total.' }];
  const replies: OpenAI.ChatCompletionMessage[] = [];
  for (let turn = 0; turn < 10; turn++) {
    const body = { model: 'seedling', messages, temperature: 0.2 };
    const message = stream
      ? await client.chat.completions.stream(body).finalMessage()
      : (await client.chat.completions.create(body)).choices[0]!.message;
    replies.push(message);
    messages.push(alter(message));
    if (!message.tool_calls?.length) break;
    for (const call of message.tool_calls) {
      messages.push({ role: 'tool', tool_call_id: call.id, content: `1: ${turn} of ${call.type}\n` });
    }
  }
  return replies;
}

describe.each([
  ['JSON', false],
  ['SSE', true],
])('five turns of the stock client over %s', (_, stream) => {
  it('are recorded exactly: each prompt begins with the ids of the turn before', async () => {
    const sampler = new LetterSampler(script);
    rig = await startRig(sampler);
    const session = await rig.proxy.sessions.open(rollout, sessionOptions);
    const replies = await work(clientOf(session), stream);

    expect(replies.map((reply) => reply.tool_calls?.map((call) => call.id) ?? [])).toEqual([
      ['call_0_0', 'call_0_1'],
      ['call_1_0'],
      ['call_2_0'],
      ['call_3_0'],
      [],
    ]);
    expect(replies[0]?.content).toBe('I read both.');
    expect(replies[3]?.tool_calls?.[0]).toMatchObject({
      function: { name: 'edit', arguments: '{"path": "a.js", broken}' },
    });
    expect(replies[4]?.content).toBe('Done é 漢 😀.');

    expect(await session.close()).toEqual({
      turns: 5,
      exactTurns: 5,
      sampledTokens: rig.journal.index.turns(rollout).reduce((sum, turn) => sum + turn.completion.length, 0),
      toolCalls: 5,
      parallelTurns: 1,
      retokenizedSampledTokens: 0,
      truncatedBy: null,
    });
    const turns = turnsOf(rig.journal.index.turns(rollout));
    expect(turns.map((turn) => turn.prompt)).toEqual(sampler.requests.map((request) => request.ids));
    for (const [i, turn] of turns.entries()) {
      const before = turns[i - 1];
      if (before !== undefined) expect(turn.prompt.subarray(0, pathOf(before).length)).toEqual(pathOf(before));
      expect(tokenizer.decode(turn.completion)).toBe(`${script(i)}<|im_end|>`);
      expect(turn.versions).toEqual(new Int32Array(turn.completion.length).fill(i));
    }
    expect(rig.journal.index.turns(rollout).map((turn) => turn.break)).toEqual([null, null, null, null, null]);
    expect(rig.journal.index.turns(rollout)[0]?.wishes).toEqual({ temperature: 0.2 });
  });
});

describe('an agent that sends replies back in other words of the same meaning', () => {
  it('is still the same conversation', async () => {
    rig = await startRig(new LetterSampler(script));
    const session = await rig.proxy.sessions.open(rollout, sessionOptions);
    await work(clientOf(session), false, (message) => ({
      role: 'assistant',
      content: message.content === null ? '' : [{ type: 'text', text: ` ${message.content}` }],
      ...(message.tool_calls && {
        tool_calls: message.tool_calls.map((call, i) => {
          const { name, arguments: args } = (call as OpenAI.ChatCompletionMessageFunctionToolCall).function;
          const sorted = args.includes('broken')
            ? args
            : JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(args)).reverse()), null, 2);
          return { id: `mine-${i}`, type: 'function' as const, function: { name, arguments: sorted } };
        }),
      }),
    }));
    const facts = await session.close();
    expect(facts).toMatchObject({ turns: 5, exactTurns: 5, retokenizedSampledTokens: 0 });
  });
});

describe('an agent that rewrites history', () => {
  it('starts a branch with a named cause, and what was tokenized again is counted', async () => {
    rig = await startRig(new LetterSampler(script));
    const session = await rig.proxy.sessions.open(rollout, sessionOptions);
    const client = clientOf(session);
    const ask = (messages: ChatMessage[], tools?: OpenAI.ChatCompletionTool[]) =>
      client.chat.completions.create({ model: 'seedling', messages, ...(tools && { tools }) });
    const first: ChatMessage[] = [{ role: 'user', content: 'Fix total.' }];
    const reply = (await ask(first)).choices[0]!.message;
    const answers = reply.tool_calls!.map(
      (call): ChatMessage => ({ role: 'tool', tool_call_id: call.id, content: 'x' }),
    );
    await ask([...first, reply, ...answers]);
    await ask([...first, { ...reply, content: 'I read none.' }, ...answers]);
    await ask([...first, reply, { role: 'user', content: 'And?' }]);
    await ask(first);
    await ask([{ role: 'user', content: 'A title, please.' }]);
    await ask(first, [{ type: 'function', function: { name: 'read', parameters: {} } }]);
    await ask(first.concat({ role: 'user', content: 'Be quick.' }));

    const records = rig.journal.index.turns(rollout);
    expect(records.map((record) => record.break?.cause ?? null)).toEqual([
      null,
      null,
      'history-rewritten',
      'fork',
      'same-prompt',
      'new-root',
      'tools-changed',
      // The reply is left out, and nothing that was said is changed.
      'fork',
    ]);
    expect(records.map((record) => record.retokenizedSampledTokens)).toEqual([
      0,
      0,
      records[0]?.completion.length,
      0,
      0,
      0,
      0,
      0,
    ]);
    expect(records[2]?.fidelity).toBe('observed');
    expect(records[3]).toMatchObject({ parent: 0 });
    const turns = turnsOf(records);
    expect(turns[4]?.prompt).toEqual(turns[0]?.prompt);
    expect((await session.close()).exactTurns).toBe(7);

    const sampled = turns.reduce((sum, turn) => sum + turn.completion.length, 0);
    for (const samples of [requestSamples(turns), mergedSamples(turns)]) {
      const learned = samples.reduce((sum, sample) => sum + sample.lossMask.reduce((a, b) => a + b, 0), 0);
      expect(learned).toBe(sampled);
    }
    expect(mergedSamples(turns).map((sample) => sample.turns)).toEqual([[0, 1], [2], [3], [4], [5], [6], [7]]);
  });
});

describe('a recorded run', () => {
  it('is read back from disk alone, bodies of messages included', async () => {
    rig = await startRig(new LetterSampler(script));
    const session = await rig.proxy.sessions.open(rollout, sessionOptions);
    await work(clientOf(session), false);
    const index = await readRun(storeDirectory(rig.directory));
    expect(index.turns(rollout)).toEqual(rig.journal.index.turns(rollout));
    expect(JSON.parse(index.messageBody(index.turns(rollout)[0]!.reply) as string)).toEqual({
      role: 'assistant',
      content: 'I read both.',
      calls: [
        { name: 'read', arguments: { path: 'a.js' } },
        { name: 'read', arguments: { path: 'b.js' } },
      ],
    });
    expect(index.sessions.get(rollout)).toMatchObject({ seed: '7', trainable: true });
  });
});

describe('a resumed run', () => {
  it('gets its recorded turns again, samples none of them, and goes on with the same bits', async () => {
    const sampler = new LetterSampler(script);
    rig = await startRig(sampler);
    const whole = await rig.proxy.sessions.open(rollout, sessionOptions);
    const replies = await work(clientOf(whole), false);
    const expected = turnsOf(rig.journal.index.turns(rollout));
    await rig.stop();
    await removeDirectory(rig.directory);

    // The same run, cut after three turns.
    const until = new LetterSampler(script);
    until.pace = async (_, request) => {
      if (until.requests.length > 3) await new Promise((resolve) => request.signal?.addEventListener('abort', resolve));
    };
    const first = await startRig(until);
    const cut = await first.proxy.sessions.open(rollout, sessionOptions);
    const half = work(clientOf(cut), false).catch(() => null);
    while (until.requests.length < 4) await new Promise((resolve) => setTimeout(resolve, 1));
    await first.stop();
    expect(await half).toBeNull();

    const rest = new LetterSampler(script);
    // Its versions count from here; the recorded turns keep theirs.
    for (let i = 0; i < 3; i++) rest.requests.push(sampler.requests[i]!);
    rig = await startRig(rest, first.directory);
    expect(rig.journal.index.turns(rollout)).toHaveLength(3);
    const again = await rig.proxy.sessions.open(rollout, sessionOptions);
    expect(await work(clientOf(again), false)).toEqual(replies);
    expect(rest.requests).toHaveLength(5);
    expect(turnsOf(rig.journal.index.turns(rollout))).toEqual(expected);
    expect(await again.close()).toMatchObject({ turns: 5, exactTurns: 5 });
  });
});
