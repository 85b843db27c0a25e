import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { accumulated, eventsOf } from '../../test/integration/messages-client.ts';
import { assistantBlock, messageBlocks } from '../trajectory/canonical.ts';
import type { Completion } from './dialect.ts';
import { parseCountRequest, parseMessagesRequest } from './messages.ts';
import { argumentsOf, toolInput } from './messages-arguments.ts';
import { messagesParameters } from './messages-parameters.ts';
import { MessagesStream, messagesErrorJson, messagesReplyJson } from './messages-reply.ts';
import { Refusal } from './refusal.ts';

const head = { id: 'x-0', model: 'seedling', created: 1 };
const plain: Completion = {
  thinking: '',
  content: '',
  toolCalls: [],
  finishReason: 'stop',
  stop: null,
  promptTokens: 3,
  completionTokens: 4,
};
const text = (content: string) => ({ type: 'text', text: content });
const user = (content: unknown) => ({ role: 'user', content });
const assistant = (content: unknown) => ({ role: 'assistant', content });
const body = (extra: object = {}) => ({ model: 'm', max_tokens: 9, messages: [user('x')], ...extra });
const parsed = (messages: unknown[], extra: object = {}) => parseMessagesRequest(body({ messages, ...extra })).messages;

function refusalOf(run: () => unknown): Refusal {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof Refusal) return thrown;
    throw thrown;
  }
  throw new Error('nothing was refused');
}

describe('a conversation', () => {
  it('means the same however it is cut into blocks, cached and signed', () => {
    const call = { type: 'tool_use', id: 'toolu_1', name: 'read', input: { path: 'a.js' } };
    const plain = parsed([user('Fix it.\nNow.'), assistant([text('I read.'), call]), user([result('ok\nthen')])], {
      system: 'Be brief.\nBe right.',
    });
    const cut = parsed(
      [
        user([{ ...text('Fix it.'), cache_control: { type: 'ephemeral' } }]),
        user('Now.'),
        assistant([
          { type: 'thinking', thinking: 'Which file?', signature: 's' },
          { type: 'redacted_thinking', data: 'x' },
        ]),
        assistant([{ ...text('I read.'), citations: null }]),
        assistant([{ ...call, cache_control: { type: 'ephemeral' }, caller: { type: 'direct' } }]),
        user([{ ...result([text('ok'), text('then')]), is_error: false, cache_control: { type: 'ephemeral' } }]),
      ],
      { system: [text('Be brief.'), { ...text('Be right.'), cache_control: { type: 'ephemeral', ttl: '1h' } }] },
    );
    expect(cut).toEqual(plain);
    expect(plain).toEqual([
      { role: 'system', content: 'Be brief.\nBe right.' },
      { role: 'user', content: 'Fix it.\nNow.' },
      {
        role: 'assistant',
        content: 'I read.',
        toolCalls: [{ id: 'toolu_1', name: 'read', arguments: '{"path":"a.js"}' }],
      },
      { role: 'tool', toolCallId: 'toolu_1', content: 'ok\nthen' },
    ]);
  });

  it('says which tool failed, once', () => {
    const contents = (block: object) => parsed([user([{ ...result('gone'), ...block }])]).map((m) => m.content);
    expect(contents({ is_error: true })).toEqual(['error: gone']);
    expect(contents({ is_error: true, content: '<tool_use_error>gone' })).toEqual(['<tool_use_error>gone']);
    expect(contents({ is_error: true, content: 'Error: gone' })).toEqual(['Error: gone']);
    expect(contents({ is_error: true, content: undefined })).toEqual(['error: ']);
    expect(contents({})).toEqual(['gone']);
  });

  it('keeps results, text and notes of the system in order', () => {
    const note = { role: 'system', content: 'You have 5 tokens.' };
    const messages = parsed([user([result('a', '1'), result('b', '2'), text('Go on.')]), note, user('Please.')]);
    expect(messages).toEqual([
      { role: 'tool', toolCallId: '1', content: 'a' },
      { role: 'tool', toolCallId: '2', content: 'b' },
      { role: 'user', content: 'Go on.\n<system-reminder>\nYou have 5 tokens.\n</system-reminder>\nPlease.' },
    ]);
  });

  it('does not show a model the line of Claude Code that changes with every conversation, but records it', () => {
    const line = 'x-anthropic-billing-header: cc_version=2.1.330.1f2; cc_entrypoint=cli; cch=0a1b2;';
    const request = parseMessagesRequest(body({ system: [text(line), text('You are an agent.')] }));
    expect(request.messages[0]).toEqual({ role: 'system', content: 'You are an agent.' });
    expect(request.wishes).toEqual({ max_tokens: 9, 'x-anthropic-billing-header': [line] });
    expect(parsed([user('x')], { system: `${line}\nYou are an agent.` })[0]).toEqual(request.messages[0]);
    expect(parsed([user('x')], { system: line })).toEqual([{ role: 'user', content: 'x' }]);
  });

  it('takes a reply without content back in the words that agents put in its place', () => {
    for (const content of ['', [], '(no content)', [text('(no content)')], [{ type: 'thinking', thinking: 'Hm.' }]]) {
      expect(parsed([user('x'), assistant(content), user('y')])[1]).toEqual({
        role: 'assistant',
        content: '',
        toolCalls: [],
      });
    }
  });

  it('shows a deferred tool where it is found, not before', () => {
    const tool = (name: string, extra: object = {}) => ({ name, input_schema: { type: 'object' }, ...extra });
    const tools = [tool('read', { description: 'Reads.' }), tool('mail', { defer_loading: true, type: 'custom' })];
    const found = user([result([{ type: 'tool_reference', tool_name: 'mail' }])]);
    const request = parseMessagesRequest(body({ tools, messages: [found] }));
    expect(request.tools).toEqual([{ name: 'read', description: 'Reads.', parameters: { type: 'object' } }]);
    expect(request.messages[0]?.content).toBe('{"name":"mail","description":"","parameters":{"type":"object"}}');
    expect(parseMessagesRequest(body({ tools, tool_choice: { type: 'none' } })).tools).toEqual([]);
  });
});

describe('what cannot be done', () => {
  const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: '' } };
  it.each<[string, object, string]>([
    ['an image', { messages: [user([text('x'), image])] }, 'messages.0.content.1'],
    ['an image of a tool', { messages: [user([result([image])])] }, 'messages.0.content.0.content.0'],
    ['a document', { messages: [user([{ type: 'document', source: {} }])] }, 'messages.0.content.0'],
    ['an unknown block', { messages: [user([{ type: 'server_tool_use' }])] }, 'messages.0.content.0.type'],
    ['a call by the user', { messages: [user([{ type: 'tool_use' }])] }, 'messages.0.content.0.type'],
    ['a result by the model', { messages: [assistant([result('x')]), user('x')] }, 'messages.0.content.0.type'],
    ['an unknown role', { messages: [{ role: 'tool', content: 'x' }] }, 'messages.0.role'],
    ['no content', { messages: [{ role: 'user' }] }, 'messages.0.content'],
    ['text that is none', { messages: [user([{ type: 'text', text: 1 }])] }, 'messages.0.content.0.text'],
    ['an input that is none', { messages: [assistant([{ type: 'tool_use', id: 'a', name: 'b', input: 1 }])] }, 'input'],
    ['a prefilled reply', { messages: [user('x'), assistant('I')] }, 'messages'],
    ['no messages', { messages: [] }, 'messages'],
    ['messages that are none', { messages: 'x' }, 'messages'],
    ['an unknown tool reference', { messages: [user([result([reference('a')])])] }, 'messages.0.content.0.content.0'],
    ['a tool of the server', { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }, 'tools.0.type'],
    ['a tool without a schema', { tools: [{ name: 'a' }] }, 'tools.0.input_schema'],
    ['a call that must be', { tool_choice: { type: 'any' } }, 'tool_choice'],
    ['a certain call', { tool_choice: { type: 'tool', name: 'a' } }, 'tool_choice'],
    ['one call only', { tool_choice: { type: 'auto', disable_parallel_tool_use: true } }, 'tool_choice'],
    ['an empty stop sequence', { stop_sequences: [''] }, 'stop_sequences'],
    ['output in a schema', { output_config: { format: { type: 'json_schema' } } }, 'output_config'],
    ['cleared tool results', { context_management: { edits: [{ type: 'clear_tool_uses_1' }] } }, 'context_management'],
    ['a container', { container: 'a' }, 'container'],
    ['no limit', { max_tokens: undefined }, 'max_tokens'],
    ['a limit of nothing', { max_tokens: 0 }, 'max_tokens'],
    ['a stream that is none', { stream: 'yes' }, 'stream'],
    ['no model', { model: undefined }, 'model'],
    ['what nobody knows', { n: 2 }, 'n'],
  ])('is refused with the field at fault: %s', (_, extra, param) => {
    const refusal = refusalOf(() => parseMessagesRequest(body(extra)));
    expect(refusal.status).toBe(400);
    expect(refusal.param).toContain(param);
    expect(refusal.message).toContain(param);
  });

  it('is an error body of the type that belongs to the status', () => {
    const typeOf = (status: number) => JSON.parse(messagesErrorJson(new Refusal(status, 'no'))).error.type;
    expect([400, 401, 403, 404, 405, 413, 429, 500, 502, 503, 529].map(typeOf)).toEqual([
      'invalid_request_error',
      'authentication_error',
      'permission_error',
      'not_found_error',
      'invalid_request_error',
      'request_too_large',
      'rate_limit_error',
      'api_error',
      'api_error',
      'overloaded_error',
      'overloaded_error',
    ]);
    expect(JSON.parse(messagesErrorJson(new Refusal(400, 'no')))).toEqual({
      type: 'error',
      error: { type: 'invalid_request_error', message: 'no' },
    });
  });
});

describe('the parameters', () => {
  it('that are recorded are kept as they came, null is not given', () => {
    const thinking = { type: 'enabled', budget_tokens: 1024 };
    const edits = [{ type: 'clear_thinking_20251015', keep: 'all' }];
    const wishes = {
      temperature: 0.3,
      thinking,
      metadata: { user_id: 'u' },
      output_config: { effort: 'high' },
      context_management: { edits },
    };
    const request = parseMessagesRequest(
      body({
        ...wishes,
        stop_sequences: [],
        container: null,
        top_k: null,
        tool_choice: { type: 'auto' },
        stream: true,
      }),
    );
    expect(request.wishes).toEqual({ max_tokens: 9, ...wishes });
    expect(request).toMatchObject({ stream: true, maxTokens: 9, model: 'm' });
    expect(parseCountRequest({ model: 'm', messages: [user('x')] })).toMatchObject({ maxTokens: null });
  });

  it('stand in the docs as they stand in the code', () => {
    const docs = readFileSync(new URL('../../docs/dialects.md', import.meta.url), 'utf8').replace(/ +/g, ' ');
    for (const [name, { is, note }] of Object.entries(messagesParameters)) {
      expect(docs).toContain(`| \`${name}\` | ${is} | ${note} |`);
    }
  });
});

describe('the arguments of a call', () => {
  it('are an object on the wire and the sampled text when they come back', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.string(),
          fc.object().map((value) => JSON.stringify(value)),
        ),
        (sampled) => {
          for (const given of [sampled, JSON.stringify(toolInput(sampled))]) {
            const input = JSON.parse(JSON.stringify(toolInput(given)));
            const back = argumentsOf(input);
            if (back !== given) expect(JSON.parse(back)).toEqual(JSON.parse(given));
          }
        },
      ),
    );
    expect(toolInput('{"path": "a", broken}')).toEqual({ invalid_json_arguments: '{"path": "a", broken}' });
    expect(toolInput('{}')).toEqual({});
    expect(toolInput('[1]')).toEqual({ invalid_json_arguments: '[1]' });
  });
});

describe('a reply that comes back', () => {
  it('is the turn that was sampled: nothing lost, order kept', () => {
    const calls = fc.array(
      fc.record({ id: fc.uuid(), name: fc.string({ minLength: 1 }), arguments: fc.oneof(fc.string(), fc.json()) }),
      { maxLength: 3 },
    );
    fc.assert(
      fc.property(fc.string(), fc.string(), calls, (thinking, content, toolCalls) => {
        const reply = { ...plain, thinking: thinking.trim(), content, toolCalls };
        const { content: blocks } = JSON.parse(messagesReplyJson(head, reply));
        const back = parsed([user('x'), assistant(blocks), user('y')]);
        expect(messageBlocks(back)[1]).toEqual(assistantBlock(content, toolCalls));
      }),
    );
  });

  it('is so even when its arguments are nested deeper than any client can take', () => {
    const deep = `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`;
    const reply = { ...plain, toolCalls: [{ id: 'a', name: 'b', arguments: deep }] };
    const { content } = JSON.parse(messagesReplyJson(head, reply));
    expect(content[0].input).toEqual({ invalid_json_arguments: deep });
    expect(parsed([assistant(content), user('y')])[0]).toMatchObject({ toolCalls: [{ arguments: deep }] });
  });
});

describe('a streamed reply', () => {
  it('says what the JSON reply says, however it was cut', () => {
    const calls = fc.array(
      fc.record({ id: fc.string(), name: fc.string(), arguments: fc.oneof(fc.string(), fc.json()) }),
      { maxLength: 3 },
    );
    const words = fc.oneof(fc.string(), fc.constantFrom(' ', '\n\n', ' a', 'b\n'));
    const reason = fc.constantFrom('stop' as const, 'length' as const, 'tool_calls' as const);
    fc.assert(
      fc.property(
        words,
        words,
        calls,
        reason,
        fc.nat({ max: 12 }),
        fc.nat({ max: 12 }),
        (think, content, made, why, a, b) => {
          const reply: Completion = {
            thinking: think.trim(),
            content,
            toolCalls: made,
            finishReason: why,
            stop: null,
            promptTokens: 3,
            completionTokens: 4,
          };
          const stream = new MessagesStream(head);
          let events = stream.begin();
          const pieces = (whole: string, cut: number) =>
            [whole.slice(0, cut), whole.slice(cut)].filter((p) => p !== '');
          if (a > 0) for (const piece of pieces(reply.thinking, a)) events += stream.thinking(piece);
          if (a > 0 && b > 0)
            events += pieces(content, b)
              .slice(0, 1)
              .map((piece) => stream.text(piece))
              .join('');
          events += stream.keepAlive() + stream.end(reply);
          expect(accumulated(eventsOf(events))).toEqual(JSON.parse(messagesReplyJson(head, reply)));
        },
      ),
    );
  });

  it('that fails ends with an error event that clients try again after', () => {
    const stream = new MessagesStream(head);
    const events = eventsOf(
      stream.begin() + stream.text('Half') + stream.failure(new Refusal(502, 'the engine failed')),
    );
    expect(events.map((event) => event.type)).toEqual([
      'message_start',
      'ping',
      'content_block_start',
      'content_block_delta',
      'error',
    ]);
    expect(events.at(-1)?.['error']).toEqual({ type: 'overloaded_error', message: 'the engine failed' });
    expect(() => accumulated(events)).toThrow('overloaded_error');
  });
});

function result(content: unknown, id = 'toolu_1') {
  return { type: 'tool_result', tool_use_id: id, content };
}

function reference(name: string) {
  return { type: 'tool_reference', tool_name: name };
}
