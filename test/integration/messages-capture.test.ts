import { afterEach, describe, expect, it } from 'vitest';
import { groupId, rolloutId } from '../../src/core/ids.ts';
import { pathOf, turnsOf } from '../../src/trajectory/turns.ts';
import { type ContentBlock, createMessage, eventsOf, type MessageReply, post } from './messages-client.ts';
import { LetterSampler, type Rig, removeDirectory, sessionOptions, startRig, tokenizer } from './proxy-fixture.ts';

const rollout = rolloutId(groupId('step/0', 0), 0);
const read = (path: string): string => `<tool_call>{"name": "Read", "arguments": {"path": "${path}"}}</tool_call>`;
const replies = [
  `<think>\nTwo files.\n</think>\n\nI read both.\n${read('a.js')}${read('b.js')}`,
  read('c.js'),
  '<tool_call>\n{"name": "Edit", "arguments": {"line": 3,  "path": "a.js", "new": "  return a;"}}\n</tool_call>',
  '<think>Hm.</think><tool_call>{"name": "Edit", "arguments": {"path": "a.js", broken}}</tool_call>',
  'Done é 漢 😀.',
];
const script = (turn: number): string => replies[turn] ?? 'More.';
const tools = ['Read', 'Edit'].map((name) => ({ name, description: name, input_schema: { type: 'object' } }));

let rig: Rig | null = null;
afterEach(async () => {
  await rig?.stop();
  if (rig !== null) await removeDirectory(rig.directory);
  rig = null;
});

async function opened(sampler: LetterSampler) {
  rig = await startRig(sampler);
  return { rig, session: await rig.proxy.sessions.open(rollout, sessionOptions) };
}

/** What Claude Code does between two requests, beside adding what was said. */
function resent(messages: readonly { role: string; content: unknown }[]): unknown[] {
  return messages.map((message, i) => {
    if (i < messages.length - 1 || !Array.isArray(message.content)) return message;
    const content = message.content.map((block: object, at: number, all: unknown[]) =>
      at === all.length - 1 ? { ...block, cache_control: { type: 'ephemeral' } } : block,
    );
    return { ...message, content };
  });
}

/** An agent of the kind of Claude Code: tools, notes of the system, a moving cache mark, a line that changes. */
async function work(session: { baseUrl: string; apiKey: string }, stream: boolean): Promise<MessageReply[]> {
  const messages: { role: string; content: unknown }[] = [
    { role: 'user', content: [{ type: 'text', text: '<system-reminder>Today.</system-reminder>' }] },
    { role: 'user', content: 'Fix total.' },
  ];
  const given: MessageReply[] = [];
  for (let turn = 0; turn < 10; turn++) {
    const line = `x-anthropic-billing-header: cc_version=2.1.330.${turn}ab; cch=${turn}1b2c;`;
    const reply = await createMessage(session, {
      model: 'seedling',
      max_tokens: 32_000,
      system: [
        { type: 'text', text: line },
        { type: 'text', text: 'You are an agent.', cache_control: { type: 'ephemeral' } },
      ],
      messages: resent(messages),
      tools,
      metadata: { user_id: `user_${turn}` },
      thinking: { type: 'adaptive' },
      stream,
    });
    given.push(reply);
    messages.push({ role: 'assistant', content: reply.content });
    const calls = reply.content.filter((block) => block.type === 'tool_use');
    if (calls.length === 0) break;
    const results = calls.map((call) => {
      const broken = Object.hasOwn(call.input as object, 'invalid_json_arguments');
      const content = broken ? '<tool_use_error>InputValidationError' : [{ type: 'text', text: `1: ${turn}\n` }];
      return { type: 'tool_result', tool_use_id: call.id, content, is_error: broken };
    });
    messages.push({ role: 'user', content: results }, { role: 'system', content: `<total_tokens>${turn}` });
  }
  return given;
}

const shape = (block: ContentBlock): unknown =>
  block.type === 'tool_use' ? [block.name, block.input] : (block.text ?? block.thinking);

describe.each([
  ['JSON', false],
  ['SSE', true],
])('five turns of an agent of the messages dialect over %s', (_, stream) => {
  it('are recorded exactly: each prompt begins with the ids of the turn before', async () => {
    const sampler = new LetterSampler(script);
    const { rig, session } = await opened(sampler);
    const given = await work(session, stream);

    expect(given.map((reply) => [reply.stop_reason, ...reply.content.map(shape)])).toEqual([
      ['tool_use', 'Two files.', 'I read both.', ['Read', { path: 'a.js' }], ['Read', { path: 'b.js' }]],
      ['tool_use', ['Read', { path: 'c.js' }]],
      ['tool_use', ['Edit', { line: 3, path: 'a.js', new: '  return a;' }]],
      ['tool_use', 'Hm.', ['Edit', { invalid_json_arguments: '{"path": "a.js", broken}' }]],
      ['end_turn', 'Done é 漢 😀.'],
    ]);
    const ids = given.flatMap((reply) => [reply.id, ...reply.content.flatMap((block) => block.id ?? [])]);
    expect(new Set(ids).size).toBe(ids.length);

    const records = rig.journal.index.turns(rollout);
    expect(await session.close()).toMatchObject({
      turns: 5,
      exactTurns: 5,
      toolCalls: 5,
      parallelTurns: 1,
      retokenizedSampledTokens: 0,
    });
    expect(records.map((record) => record.break)).toEqual([null, null, null, null, null]);
    const turns = turnsOf(records);
    for (const [i, turn] of turns.entries()) {
      const before = turns[i - 1];
      if (before !== undefined) expect(turn.prompt.subarray(0, pathOf(before).length)).toEqual(pathOf(before));
      expect(tokenizer.decode(turn.completion)).toBe(`${script(i)}<|im_end|>`);
      expect(given[i]?.usage).toMatchObject({
        input_tokens: turn.prompt.length,
        output_tokens: turn.completion.length,
      });
    }
    expect(tokenizer.decode(turns[4]!.prompt)).not.toContain('billing');
    expect(records[1]?.wishes).toMatchObject({ metadata: { user_id: 'user_1' }, max_tokens: 32_000 });
  });
});

describe('an agent that mends the calls which it runs and sends back what it ran', () => {
  it('continues from what was sampled, after a restart of the proxy too', async () => {
    const said = [
      '<tool_call>{"name": "Edit", "arguments": {"path": "a.js", "new": "return a;  "}}</tool_call>',
      '<tool_call>{"name": "Edit", "arguments": {"path": "b.js", "new": "return b;"}}</tool_call>',
      'Done.',
    ];
    const sampler = new LetterSampler((turn) => said[turn] as string);
    const input_schema = { type: 'object', properties: { all: { type: 'boolean', default: false } } };
    const request = { model: 'seedling', max_tokens: 400, tools: [{ name: 'Edit', input_schema }] };
    const messages: unknown[] = [{ role: 'user', content: 'Fix total.' }];
    const run = await opened(sampler);
    let session: { baseUrl: string; apiKey: string } = run.session;
    for (let turn = 0; turn < said.length; turn++) {
      const { content } = await createMessage(session, { ...request, messages });
      const mended = content.map((block) => {
        if (block.type !== 'tool_use') return block;
        const { path, new: text } = block.input as { path: string; new: string };
        return { ...block, input: { all: false, path, new: text.trimEnd() } };
      });
      const results = mended.map((block) => ({ type: 'tool_result', tool_use_id: block.id, content: 'Edited.' }));
      messages.push({ role: 'assistant', content: mended }, { role: 'user', content: results });
      if (turn !== 1) continue;
      await run.rig.stop();
      rig = await startRig(sampler, run.rig.directory);
      session = await rig.proxy.sessions.open(rollout, sessionOptions);
    }
    const records = rig?.journal.index.turns(rollout) ?? [];
    expect(records.map((turn) => [turn.fidelity, turn.retokenizedSampledTokens, turn.break])).toEqual([
      ['exact', 0, null],
      ['exact', 0, null],
      ['exact', 0, null],
    ]);
  });
});

describe('a stream of the messages dialect', () => {
  it('shows thinking and text while they are sampled, before the turn has ended', async () => {
    const { session } = await opened(new LetterSampler(script));
    const { text, headers } = await post(session, '/messages', {
      model: 'seedling',
      max_tokens: 400,
      stream: true,
      messages: [{ role: 'user', content: 'Fix total.' }],
    });
    expect(headers.get('content-type')).toContain('text/event-stream');
    const events = eventsOf(text).filter((event) => event.type !== 'ping');
    const deltas = events.flatMap((event) => (event['delta'] as { type?: string } | undefined)?.type ?? []);
    expect(deltas.filter((type) => type === 'thinking_delta').length).toBeGreaterThan(3);
    expect(deltas.filter((type) => type === 'text_delta').length).toBeGreaterThan(3);
    expect(events.filter((event) => event.type === 'content_block_start').length).toBe(4);
  });
});

describe('count_tokens', () => {
  it('counts the prompt that the request would get, and records nothing', async () => {
    const sampler = new LetterSampler(script);
    const { rig, session } = await opened(sampler);
    const messages: unknown[] = [{ role: 'user', content: 'Fix total.' }];
    const count = async () =>
      JSON.parse((await post(session, '/messages/count_tokens', { model: 'seedling', messages, tools })).text);
    const ask = () => createMessage(session, { model: 'seedling', max_tokens: 400, messages, tools });
    const before = await count();
    const first = await ask();
    expect(before).toEqual({ input_tokens: first.usage['input_tokens'] });
    messages.push({ role: 'assistant', content: first.content }, { role: 'user', content: 'And?' });
    expect(await count()).toEqual({ input_tokens: (await ask()).usage['input_tokens'] });
    expect(sampler.requests).toHaveLength(2);
    expect(rig.journal.index.turns(rollout)).toHaveLength(2);
  });
});

describe('an error', () => {
  const body = { model: 'seedling', max_tokens: 400, messages: [{ role: 'user', content: 'Fix total.' }] };

  it.each([false, true])('has its status and the type that belongs to it, stream: %s', async (stream) => {
    const { session } = await opened(new LetterSampler(() => 'Yes.', 12));
    const failed = async (given: object, path = '/messages', key = session.apiKey) => {
      const { status, text } = await post({ ...session, apiKey: key }, path, { ...body, stream, ...given });
      const { type, error } = JSON.parse(text);
      expect(type).toBe('error');
      return [status, error.type, error.message];
    };
    expect(await failed({ model: 'claude-haiku' })).toEqual([
      404,
      'not_found_error',
      expect.stringMatching(/'claude-haiku'/),
    ]);
    expect(await failed({}, '/messages', 'esp-wrong')).toEqual([
      401,
      'authentication_error',
      expect.stringMatching(/API key/),
    ]);
    expect(await failed({ top_k: 'x' })).toEqual([400, 'invalid_request_error', expect.stringMatching(/^top_k: /)]);
    const long = [{ role: 'user', content: 'Fix total. '.repeat(20) }];
    const [status, type, message] = await failed({ messages: long });
    expect([status, type]).toEqual([400, 'invalid_request_error']);
    expect(message).toMatch(/^prompt is too long: \d+ tokens > 12 maximum/);
  });

  it('is no crash for a body that is nested deeper than a stack', async () => {
    const { session } = await opened(new LetterSampler(() => 'Yes.'));
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
    for (const path of ['/messages', '/messages/count_tokens', '/chat/completions', '/responses']) {
      const given = JSON.stringify({ ...body, tools: [{ name: 'a', input_schema: { a: 1 } }] }).replace(
        '{"a":1}',
        deep,
      );
      const { status, text } = await post(session, path, given);
      expect([status, JSON.parse(text).error.message]).toEqual([400, 'The body is nested deeper than 200 levels.']);
    }
  });

  it('and a list of models have the form that the client reads', async () => {
    const { session } = await opened(new LetterSampler(() => 'Yes.'));
    const headers = { 'x-api-key': session.apiKey, 'anthropic-version': '2023-06-01' };
    const models = await (await fetch(`${session.baseUrl}/models`, { headers })).json();
    expect(models).toMatchObject({ data: [{ type: 'model', id: 'seedling' }], has_more: false });
    const missing = await (await fetch(`${session.baseUrl}/messages/batches`, { headers })).json();
    expect(missing).toMatchObject({ type: 'error', error: { type: 'not_found_error' } });
  });

  it('of the engine in mid-stream is an error event and a broken connection', async () => {
    const sampler = new LetterSampler(() => 'Yes.');
    const { session } = await opened(sampler);
    sampler.failure = 'out of memory';
    await expect(createMessage(session, { ...body, stream: true })).rejects.toThrow();
    sampler.failure = 'out of memory';
    const { status, text } = await post(session, '/messages', body);
    expect([status, JSON.parse(text).error.type]).toEqual([502, 'api_error']);
  });

  it('is not a limit that was reached: that is a stop reason', async () => {
    const { session } = await opened(new LetterSampler(() => 'A long answer.'));
    const reply = await createMessage(session, { ...body, max_tokens: 4 });
    expect(reply).toMatchObject({ stop_reason: 'max_tokens', usage: { output_tokens: 4 } });
    expect(reply.content).toEqual([{ type: 'text', text: 'A lo' }]);
  });
});
