import OpenAI from 'openai';
import { afterEach, describe, expect, it } from 'vitest';
import { groupId, rolloutId } from '../../src/core/ids.ts';
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

type Item = OpenAI.Responses.ResponseInputItem;
type Asked = OpenAI.Responses.ResponseCreateParamsNonStreaming;
const rollout = rolloutId(groupId('step/0', 0), 0);
const read = (path: string): string => `<tool_call>{"name": "read", "arguments": {"path": "${path}"}}</tool_call>`;
const patch = (text: string): string => `<tool_call>{"name": "apply_patch", "arguments": ${text}}</tool_call>`;
const script = (turn: number): string =>
  [
    `<think>\nTwo files, it seems.\n</think>\n\nI read both.\n${read('a.js')}${read('b.js')}`,
    `${read('c.js')}<tool_call>\n{"name": "web.get", "arguments": {"line": 3,  "url": "a.js"}}\n</tool_call>`,
    patch('{ "input": "*** Begin\\n+é" }'),
    patch('{"input": "*** Begin", broken}') + patch('{"path": "a.js"}'),
    '<think>\nThat is all.\n</think>\n\nDone é 漢 😀.',
  ][turn] ?? 'More.';
const texts = ['I read both.', '', '', '', 'Done é 漢 😀.'];

const tools: OpenAI.Responses.Tool[] = [
  { type: 'function', name: 'read', description: 'Reads.', parameters: { type: 'object' }, strict: false },
  { type: 'custom', name: 'apply_patch' },
  {
    type: 'namespace',
    name: 'web',
    description: 'The web.',
    tools: [{ type: 'function', name: 'get', parameters: null, strict: null }],
  },
  { type: 'web_search' },
];

let rig: Rig | null = null;
afterEach(async () => {
  await rig?.stop();
  if (rig !== null) await removeDirectory(rig.directory);
  rig = null;
});

const ask = async (client: OpenAI, stream: boolean, body: Asked): Promise<OpenAI.Responses.Response> =>
  stream ? client.responses.stream({ ...body, stream: true }).finalResponse() : client.responses.create(body);

/** An agent's answers to the calls of a reply. */
function answersTo(reply: OpenAI.Responses.Response): Item[] {
  return reply.output.flatMap((item): Item[] => {
    if (item.type === 'function_call') {
      return [{ type: 'function_call_output', call_id: item.call_id, output: `1: ${item.name}\n` }];
    }
    if (item.type !== 'custom_tool_call') return [];
    const output = [{ type: 'input_text' as const, text: `patched with ${item.input}` }];
    return [{ type: 'custom_tool_call_output', call_id: item.call_id, output }];
  });
}

/** Items as Codex sends them back: without ids and status, nulls where it knows nothing. */
function bare(item: OpenAI.Responses.ResponseOutputItem): Item {
  const { id: _, status: __, ...rest } = item as unknown as Record<string, unknown>;
  return rest as unknown as Item;
}

/** What an agent does until there is no call left. `next` gives what it asks after a reply. */
async function work(
  client: OpenAI,
  stream: boolean,
  next: (input: Item[], reply: OpenAI.Responses.Response) => Partial<Asked> & { input: Item[] },
  body: Partial<Asked> = {},
): Promise<OpenAI.Responses.Response[]> {
  const start: Item[] = [
    { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'You may write.' }] },
    { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Fix total.' }] },
  ];
  let request: Partial<Asked> & { input: Item[] } = { input: start };
  const replies: OpenAI.Responses.Response[] = [];
  for (let turn = 0; turn < 10; turn++) {
    const shared = { model: 'seedling', instructions: 'You fix bugs.', tools, tool_choice: 'auto' as const, ...body };
    const reply = await ask(client, stream, { ...shared, ...request });
    replies.push(reply);
    if (answersTo(reply).length === 0) break;
    request = next(request.input, reply);
  }
  return replies;
}

const agents = {
  'sends every item back': (input: Item[], reply: OpenAI.Responses.Response) => ({
    input: [...input, ...(reply.output as Item[]), ...answersTo(reply)],
  }),
  'sends items back as Codex does': (input: Item[], reply: OpenAI.Responses.Response) => ({
    input: [...input, ...reply.output.map(bare), ...answersTo(reply)],
  }),
  'answers each call right after it': (input: Item[], reply: OpenAI.Responses.Response) => ({
    input: [...input, ...reply.output.flatMap((item) => [bare(item), ...answersTo({ ...reply, output: [item] })])],
  }),
  'refers to items': (input: Item[], reply: OpenAI.Responses.Response) => ({
    input: [
      ...input,
      ...reply.output.map((item): Item => ({ type: 'item_reference', id: item.id as string })),
      ...answersTo(reply),
    ],
  }),
  'refers to the last reply': (_: Item[], reply: OpenAI.Responses.Response) => ({
    previous_response_id: reply.id,
    input: answersTo(reply),
  }),
};

describe.each([
  ['JSON', false],
  ['SSE', true],
])('five turns of the stock client over %s', (_, stream) => {
  it.each(Object.entries(agents))('are recorded exactly when it %s', async (_, next) => {
    const sampler = new LetterSampler(script);
    rig = await startRig(sampler);
    const session = await rig.proxy.sessions.open(rollout, { ...sessionOptions, maxTokensPerTurn: 600 });
    const replies = await work(clientOf(session), stream, next);

    expect(replies.map((reply) => reply.output_text)).toEqual(texts);
    expect(replies.map((reply) => reply.output.map((item) => item.type))).toEqual([
      ['reasoning', 'message', 'function_call', 'function_call'],
      ['function_call', 'function_call'],
      ['custom_tool_call'],
      ['custom_tool_call', 'custom_tool_call'],
      ['reasoning', 'message'],
    ]);
    expect(replies[1]?.output[1]).toMatchObject({ namespace: 'web', name: 'get', call_id: 'call_1_1' });
    expect(replies[2]?.output[0]).toMatchObject({ name: 'apply_patch', input: '*** Begin\n+é' });
    expect(replies[3]?.output[0]).toMatchObject({ input: '{"input": "*** Begin", broken}' });
    expect(replies[0]?.output[0]).toMatchObject({ summary: [{ type: 'summary_text', text: 'Two files, it seems.' }] });

    expect(await session.close()).toMatchObject({
      turns: 5,
      exactTurns: 5,
      toolCalls: 7,
      parallelTurns: 3,
      retokenizedSampledTokens: 0,
    });
    const turns = turnsOf(rig.journal.index.turns(rollout));
    for (const [i, turn] of turns.entries()) {
      const before = turns[i - 1];
      if (before !== undefined) expect(turn.prompt.subarray(0, pathOf(before).length)).toEqual(pathOf(before));
      expect(tokenizer.decode(turn.completion)).toBe(`${script(i)}<|im_end|>`);
    }
    const records = rig.journal.index.turns(rollout);
    expect(records.map((turn) => turn.break)).toEqual([null, null, null, null, null]);
    expect(records[0]?.wishes).toEqual({ hosted_tools: [{ type: 'web_search' }] });
  });
});

describe('a reply', () => {
  it('is the same over JSON and SSE, but for its number', async () => {
    const outputs: unknown[] = [];
    for (const stream of [false, true]) {
      rig = await startRig(new LetterSampler(script));
      const session = await rig.proxy.sessions.open(rollout, sessionOptions);
      const replies = await work(clientOf(session), stream, agents['sends every item back']);
      outputs.push(replies.map(({ output, usage, status }) => ({ output: output.map(bare), usage, status })));
      await rig.stop();
      await removeDirectory(rig.directory);
      rig = null;
    }
    const parsed = (value: unknown): unknown =>
      JSON.parse(JSON.stringify(value).replaceAll(/,"parsed(_arguments)?":null/g, ''));
    expect(parsed(outputs[1])).toEqual(parsed(outputs[0]));
  });

  it('numbers its events in the order in which they are sent', async () => {
    rig = await startRig(new LetterSampler(script));
    const client = clientOf(await rig.proxy.sessions.open(rollout, sessionOptions));
    const stream = await client.responses.create({ model: 'seedling', input: 'Fix total.', stream: true });
    const events: OpenAI.Responses.ResponseStreamEvent[] = [];
    for await (const event of stream) events.push(event);
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, i) => i));
    expect(events[0]?.type).toBe('response.created');
    expect(events.at(-1)?.type).toBe('response.completed');
  });

  it('that the limit of tokens ends is incomplete', async () => {
    rig = await startRig(new LetterSampler(() => 'A long story.'));
    const session = await rig.proxy.sessions.open(rollout, sessionOptions);
    for (const stream of [false, true]) {
      const body = { model: 'seedling', input: 'Tell.', max_output_tokens: 3 };
      const reply = await ask(clientOf(session), stream, body);
      expect(reply).toMatchObject({
        status: 'incomplete',
        incomplete_details: { reason: 'max_output_tokens' },
        output_text: 'A l',
        usage: { output_tokens: 3 },
      });
    }
  });

  it('tells the stock client what was wrong with its request', async () => {
    rig = await startRig(new LetterSampler(script));
    const client = clientOf(await rig.proxy.sessions.open(rollout, sessionOptions));
    const picture: Item = {
      role: 'user',
      content: [{ type: 'input_image', image_url: 'data:image/png;base64,', detail: 'auto' }],
    };
    const failure = await client.responses.create({ model: 'seedling', input: [picture] }).catch((error) => error);
    expect(failure).toBeInstanceOf(OpenAI.BadRequestError);
    expect(failure).toMatchObject({ status: 400, param: 'input[0].content[0].type', code: 'invalid_value' });
    expect(failure.message).toContain('reads text only');
    const unknown = client.responses.create({ model: 'seedling', input: 'x', previous_response_id: 'resp_1' });
    await expect(unknown).rejects.toMatchObject({ status: 400, code: 'previous_response_not_found' });
    const other = client.responses.create({ model: 'gpt-6', input: 'x' });
    await expect(other).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
  });

  it('that fails in the middle never looks like an end, and comes whole when it is asked for again', async () => {
    const sampler = new LetterSampler(() => 'A story.');
    rig = await startRig(sampler);
    const session = await rig.proxy.sessions.open(rollout, sessionOptions);
    sampler.failure = 'out of memory';
    const events: string[] = [];
    const stream = await clientOf(session).responses.create({ model: 'seedling', input: 'Tell.', stream: true });
    await expect(
      (async () => {
        for await (const event of stream) events.push(event.type);
      })(),
    ).rejects.toThrow();
    expect(events.slice(-2)).toEqual(['error', 'response.failed']);
    const again = await ask(clientOf(session), true, { model: 'seedling', input: 'Tell.' });
    expect(again.output_text).toBe('A story.');
    expect(await session.close()).toMatchObject({ turns: 1, exactTurns: 1 });
  });
});
