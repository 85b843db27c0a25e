import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Completion, ReplyMemory } from './dialect.ts';
import { Refusal } from './refusal.ts';
import { parseResponsesRequest, responses } from './responses.ts';
import { responsesParameters } from './responses-parameters.ts';

const messagesOf = (input: unknown, memory: ReplyMemory = new Map()) =>
  parseResponsesRequest({ model: 'm', input }, memory).request.messages;
const refusalOf = (body: object, memory: ReplyMemory = new Map()): Refusal => {
  try {
    parseResponsesRequest({ model: 'm', input: 'x', ...body }, memory);
  } catch (failure) {
    if (failure instanceof Refusal) return failure;
    throw failure;
  }
  throw new Error('it was not refused');
};
const call = (id: string, name: string) => ({ type: 'function_call', call_id: id, name, arguments: '{}' });
const output = (id: string) => ({ type: 'function_call_output', call_id: id, output: id });
const toolCall = (id: string, name: string) => ({ id, name, arguments: '{}' });
const answer = (id: string) => ({ role: 'tool', toolCallId: id, content: id });

describe('input', () => {
  it('means the same as a string, as a message, and in parts; instructions come first', () => {
    const plain = messagesOf('a\nb');
    expect(plain).toEqual([{ role: 'user', content: 'a\nb' }]);
    expect(messagesOf([{ role: 'user', content: 'a\nb' }])).toEqual(plain);
    const parts = ['a', 'b'].map((text) => ({ type: 'input_text', text }));
    expect(messagesOf([{ type: 'message', role: 'user', content: parts }])).toEqual(plain);
    const { request } = parseResponsesRequest({ model: 'm', input: 'x', instructions: 'Be brief.' }, new Map());
    expect(request.messages[0]).toEqual({ role: 'system', content: 'Be brief.' });
  });

  it('has one system message, at the beginning; what the developer says later is a note', () => {
    const input = ['developer', 'user', 'developer'].map((role, i) => ({ role, content: `${i}` }));
    expect(parseResponsesRequest({ model: 'm', input, instructions: 'i' }, new Map()).request.messages).toEqual([
      { role: 'system', content: 'i\n\n0' },
      { role: 'user', content: '1' },
      { role: 'user', content: '<system-reminder>\n2\n</system-reminder>' },
    ]);
  });

  it('puts the items of a reply together again: reasoning, text and calls are one message', () => {
    expect(
      messagesOf([
        { role: 'developer', content: 'd' },
        { role: 'user', content: 'u' },
        { type: 'reasoning', summary: [{ type: 'summary_text', text: 't' }], encrypted_content: 'x' },
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'I read both.' }] },
        call('call_0_0', 'read'),
        { type: 'custom_tool_call', call_id: 'call_0_1_raw', name: 'patch', input: '{"a' },
        output('call_0_0'),
        {
          type: 'custom_tool_call_output',
          call_id: 'call_0_1_raw',
          output: [{ type: 'input_text', text: 'call_0_1' }],
        },
        call('call_1_0', 'read'),
        output('call_1_0'),
        { type: 'message', role: 'assistant', content: 'Done.' },
      ]),
    ).toEqual([
      { role: 'system', content: 'd' },
      { role: 'user', content: 'u' },
      {
        role: 'assistant',
        content: 'I read both.',
        toolCalls: [toolCall('call_0_0', 'read'), { id: 'call_0_1', name: 'patch', arguments: '{"a' }],
      },
      answer('call_0_0'),
      answer('call_0_1'),
      { role: 'assistant', content: '', toolCalls: [toolCall('call_1_0', 'read')] },
      answer('call_1_0'),
      { role: 'assistant', content: 'Done.', toolCalls: [] },
    ]);
  });

  it('puts calls of one turn together that come back between their answers, and no others', () => {
    const between = [call('call_0_0', 'a'), output('call_0_0'), call('call_0_1', 'b'), output('call_0_1')];
    expect(messagesOf(between)).toEqual([
      { role: 'assistant', content: '', toolCalls: [toolCall('call_0_0', 'a'), toolCall('call_0_1', 'b')] },
      answer('call_0_0'),
      answer('call_0_1'),
    ]);
    const foreign = [call('x', 'a'), output('x'), call('y', 'b'), output('y')];
    expect(messagesOf(foreign).map((message) => message.role)).toEqual(['assistant', 'tool', 'assistant', 'tool']);
  });

  it('keeps two turns apart that nothing stands between', () => {
    const said = (id: string, text: string) => ({ type: 'message', id, role: 'assistant', content: text });
    expect(messagesOf([said('msg_s-0', 'a'), said('msg_s-1', 'b')])).toHaveLength(2);
    expect(messagesOf([said('msg_s-0', 'a'), { ...call('call_1_0', 'b'), id: 'fc_s-1_0' }])).toHaveLength(2);
    expect(messagesOf([said('msg_s-0', 'a'), { ...call('call_0_0', 'b'), id: 'fc_s-0_0' }])).toHaveLength(1);
  });

  it('shows a note for an image that a tool answers', () => {
    const parts = [
      { type: 'input_text', text: 'Read:' },
      { type: 'input_image', image_url: 'data:' },
    ];
    expect(
      messagesOf([call('call_0_0', 'a'), { type: 'function_call_output', call_id: 'call_0_0', output: parts }]),
    ).toEqual([
      expect.anything(),
      { role: 'tool', toolCallId: 'call_0_0', content: 'Read:\n[an image: this model reads text only]' },
    ]);
  });

  it.each([
    [{ input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'data:' }] }] }, 'input[0].content[0].type'],
    [{ input: [{ type: 'function_call_output', call_id: 'c', output: [{ type: 'x' }] }] }, 'input[0].output[0].type'],
    [{ input: [{ type: 'computer_call' }] }, 'input[0].type'],
    [{ input: [{ role: 'tool', content: 'x' }] }, 'input[0].role'],
    [{ input: [{ role: 'user' }] }, 'input[0].content'],
    [{ input: [{ type: 'function_call', name: 'x' }] }, 'input[0].call_id'],
    [{ input: [] }, 'input'],
    [{ input: null }, 'input'],
    [{ input: 3 }, 'input'],
    [{ model: undefined }, 'model'],
    [{ instructions: 3 }, 'instructions'],
    [{ max_output_tokens: 0 }, 'max_output_tokens'],
    [{ tools: [{ type: 'mcp' }] }, 'tools[0].type'],
  ])('%j is refused at its field', (body, param) => {
    expect(refusalOf(body)).toMatchObject({ status: 400, param });
  });
});

describe('parameters', () => {
  it('are recorded as wishes where they have no effect, hosted tools too', () => {
    const { request } = parseResponsesRequest(
      {
        model: 'm',
        input: 'x',
        temperature: 0.3,
        top_p: null,
        max_output_tokens: 9,
        reasoning: { effort: 'low' },
        include: ['reasoning.encrypted_content'],
        text: { verbosity: 'low' },
        tool_choice: 'none',
        tools: [{ type: 'function', name: 'f' }, { type: 'web_search' }],
        stream: true,
      },
      new Map(),
    );
    expect(request).toMatchObject({ maxTokens: 9, tools: [], stream: true });
    expect(request.wishes).toEqual({
      temperature: 0.3,
      reasoning: { effort: 'low' },
      include: ['reasoning.encrypted_content'],
      text: { verbosity: 'low' },
      hosted_tools: [{ type: 'web_search' }],
    });
  });

  it.each([
    { tool_choice: 'required' },
    { tool_choice: { type: 'function', name: 'f' } },
    { stream: 'yes' },
    { store: 1 },
    { text: { format: { type: 'json_schema', schema: {} } } },
    { text: 3 },
    { reasoning: 'high' },
    { metadata: [] },
    { include: ['message.output_text.logprobs'] },
    { truncation: 'auto' },
    { background: true },
    { conversation: 'conv_1' },
    { prompt: { id: 'p' } },
    { top_logprobs: 3 },
    { n: 2 },
    { stop: ['x'] },
  ])('%j is refused', (body) => {
    expect(refusalOf(body)).toMatchObject({ status: 400, param: Object.keys(body)[0] });
  });

  it('that mean "not used" are let through', () => {
    const none = Object.fromEntries(Object.keys(responsesParameters).map((name) => [name, null]));
    const { request } = parseResponsesRequest(
      { ...none, model: 'm', input: 'x', truncation: 'disabled', background: false, top_logprobs: 0 },
      new Map(),
    );
    expect(request.wishes).toEqual({});
  });

  it('that Codex sends are all let through, and what it adds to items', () => {
    const turn = { internal_chat_message_metadata_passthrough: { turn_id: 't' } };
    const text = (role: string, type: string, said: string) => ({
      type: 'message',
      role,
      content: [{ type, text: said }],
      ...turn,
    });
    const { request, keeps } = parseResponsesRequest(
      {
        model: 'policy',
        instructions: 'You are a coding agent.',
        input: [
          text('developer', 'input_text', '<permissions instructions>'),
          text('user', 'input_text', '<environment_context>'),
          text('user', 'input_text', 'Fix total.'),
          { type: 'reasoning', summary: [], content: null, encrypted_content: null, ...turn },
          { ...text('assistant', 'output_text', 'I look.'), phase: 'commentary' },
          { type: 'function_call', name: 'exec_command', arguments: '{"cmd":"ls"}', call_id: 'call_0_0', ...turn },
          { type: 'function_call_output', call_id: 'call_0_0', output: 'a.js', ...turn },
        ],
        tools: [
          {
            type: 'function',
            name: 'exec_command',
            description: 'Runs.',
            strict: false,
            parameters: { type: 'object', properties: { cmd: { type: 'string' } }, additionalProperties: false },
          },
          { type: 'web_search', external_web_access: false },
        ],
        tool_choice: 'auto',
        parallel_tool_calls: false,
        reasoning: null,
        store: false,
        stream: true,
        include: ['reasoning.encrypted_content'],
        prompt_cache_key: '019a',
        text: { verbosity: 'low' },
        client_metadata: { 'x-codex-installation-id': 'i' },
      },
      new Map(),
    );
    expect(keeps).toBe(false);
    expect(request.tools.map((tool) => tool.name)).toEqual(['exec_command']);
    expect(request.messages).toEqual([
      { role: 'system', content: 'You are a coding agent.\n\n<permissions instructions>' },
      { role: 'user', content: '<environment_context>' },
      { role: 'user', content: 'Fix total.' },
      {
        role: 'assistant',
        content: 'I look.',
        toolCalls: [{ id: 'call_0_0', name: 'exec_command', arguments: '{"cmd":"ls"}' }],
      },
      { role: 'tool', toolCallId: 'call_0_0', content: 'a.js' },
    ]);
  });

  it('are listed in the documentation as they are treated', () => {
    const page = readFileSync(new URL('../../docs/dialects.md', import.meta.url), 'utf8').replace(/ +/g, ' ');
    for (const [name, { is, note }] of Object.entries(responsesParameters)) {
      expect(page).toContain(`| \`${name}\` | ${is} | ${note} |`);
    }
  });
});

describe('a request that refers to an earlier reply', () => {
  const reply: Completion = {
    thinking: 'hm',
    content: 'I read it.',
    toolCalls: [toolCall('call_0_0', 'read')],
    finishReason: 'tool_calls',
    stop: null,
    promptTokens: 3,
    completionTokens: 4,
  };
  const remembered = (body: object = {}): ReplyMemory => {
    const memory: ReplyMemory = new Map();
    const asked = { model: 'm', input: 'Fix it.', instructions: 'Old.', ...body };
    const parsed = responses.parse(asked, memory);
    parsed.json({ id: 's-0', model: 'm', created: 0 }, reply);
    return memory;
  };
  const whole = [
    { role: 'user', content: 'Fix it.' },
    { role: 'assistant', content: 'I read it.', toolCalls: [toolCall('call_0_0', 'read')] },
    answer('call_0_0'),
  ];

  it('by the response is the one that repeats it, without its instructions', () => {
    const next = { model: 'm', previous_response_id: 'resp_s-0', input: [output('call_0_0')], instructions: 'New.' };
    expect(parseResponsesRequest(next, remembered()).request.messages).toEqual([
      { role: 'system', content: 'New.' },
      ...whole,
    ]);
  });

  it('by its items is the one that repeats them', () => {
    const references = ['rs_s-0', 'msg_s-0', 'fc_s-0_0'].map((id) => ({ type: 'item_reference', id }));
    expect(messagesOf([{ role: 'user', content: 'Fix it.' }, ...references, output('call_0_0')], remembered())).toEqual(
      whole,
    );
  });

  it('is refused when the reply is not kept', () => {
    const unkept = remembered({ store: false });
    expect(refusalOf({ previous_response_id: 'resp_s-0' }, unkept)).toMatchObject({
      status: 400,
      code: 'previous_response_not_found',
    });
    expect(refusalOf({ input: [{ type: 'item_reference', id: 'msg_s-0' }] }, unkept).status).toBe(404);
    expect(refusalOf({ input: [{ type: 'item_reference', id: 'fc_s-0_1' }] }, remembered()).status).toBe(404);
  });

  it('does not make the memory hold a repeated history twice', () => {
    const memory = remembered();
    const again = structuredClone([
      { role: 'user', content: 'Fix it.' },
      { role: 'assistant', content: 'I read it.' },
    ]);
    responses.parse({ model: 'm', input: again }, memory).json({ id: 's-1', model: 'm', created: 0 }, reply);
    expect(memory.get('s-1')?.messages[0]).toBe(memory.get('s-0')?.messages[0]);
    expect(memory.get('s-1')?.messages).toEqual(messagesOf(again));
  });
});

describe('any JSON', () => {
  const item = fc.record(
    {
      type: fc.constantFrom(
        'message',
        'function_call',
        'custom_tool_call',
        'function_call_output',
        'item_reference',
        1,
      ),
      role: fc.constantFrom('user', 'assistant', 'system', 'x', null),
      id: fc.constantFrom('msg_s-0', 'fc_s-0_0', 'fc_s-0_9', 'x', 3),
      call_id: fc.constantFrom('call_0_0', 'x_raw', null),
      name: fc.jsonValue({ maxDepth: 1 }),
      content: fc.jsonValue({ maxDepth: 2 }),
      output: fc.jsonValue({ maxDepth: 2 }),
      arguments: fc.string(),
      input: fc.string(),
    },
    { requiredKeys: [] },
  );
  const body = fc.record(
    {
      model: fc.constantFrom('m', 3),
      input: fc.oneof(fc.array(fc.oneof(item, fc.jsonValue({ maxDepth: 1 }))), fc.jsonValue({ maxDepth: 1 })),
      ...Object.fromEntries(
        Object.keys(responsesParameters)
          .filter((name) => name !== 'model' && name !== 'input')
          .map((name) => [name, fc.jsonValue({ maxDepth: 2 })]),
      ),
    },
    { requiredKeys: ['model', 'input'] },
  );

  it('is a request or a refusal, and a request can be answered', () => {
    const reply: Completion = {
      thinking: '',
      content: '',
      toolCalls: [],
      finishReason: 'stop',
      stop: null,
      promptTokens: 0,
      completionTokens: 0,
    };
    fc.assert(
      fc.property(fc.oneof(body, fc.jsonValue()), (json) => {
        try {
          const parsed = responses.parse(JSON.parse(JSON.stringify(json)));
          JSON.parse(parsed.json({ id: 's-0', model: 'm', created: 0 }, reply));
        } catch (failure) {
          if (!(failure instanceof Refusal)) throw failure;
          expect(failure.status).toBeLessThan(500);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('an error', () => {
  it('about the length of the conversation names the field of this dialect', () => {
    const tooLong = new Refusal(400, 'too long', { param: 'messages', code: 'context_length_exceeded' });
    expect(JSON.parse(responses.error(tooLong))).toEqual({
      error: { message: 'too long', type: 'invalid_request_error', param: 'input', code: 'context_length_exceeded' },
    });
  });
});
