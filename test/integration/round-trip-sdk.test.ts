/**
 * Random conversations through every dialect and back, read by the official clients from JSON and from event streams.
 *
 * What must hold: the client gets the thinking, the text and the calls that were sampled, in their order; what it sends
 * back continues the recorded ids; the model reads what users and tools said, in their order.
 *
 * Not covered: lone surrogates, which no byte of a model's vocabulary can say, and texts that hold the model's own tags.
 */
import Anthropic from '@anthropic-ai/sdk';
import fc from 'fast-check';
import type OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { groupId, rolloutId } from '../../src/core/ids.ts';
import { pathOf, turnsOf } from '../../src/trajectory/turns.ts';
import { clientOf, LetterSampler, removeDirectory, sessionOptions, startRig, tokenizer } from './proxy-fixture.ts';

interface Call {
  readonly name: string;
  readonly input: unknown;
}
/** What the model says, or what a client read of it. */
interface Said {
  readonly thinking: string;
  readonly text: string;
  readonly calls: readonly Call[];
}
interface Result {
  readonly content: string;
  readonly isError: boolean;
}
/** A turn and what comes after it: results of its calls, or the user's next words. */
interface Step {
  readonly said: Said;
  readonly results: readonly Result[];
  readonly user: string;
}

/** An agent of one dialect, which remembers its conversation. */
interface Agent {
  ask(): Promise<Said>;
  answer(results: readonly Result[]): void;
  tell(user: string): void;
}
type Opened = Parameters<typeof clientOf>[0];

const toolNames = ['read', 'list_files', 'run-tests'] as const;

function chatAgent(session: Opened, stream: boolean): Agent {
  const client = clientOf(session);
  const messages: OpenAI.ChatCompletionMessageParam[] = [];
  let ids: string[] = [];
  const tools = toolNames.map((name) => ({ type: 'function' as const, function: { name } }));
  return {
    ask: async () => {
      const body = { model: 'seedling', messages, tools };
      const reply = stream
        ? await client.chat.completions.stream(body).finalChatCompletion()
        : await client.chat.completions.create(body);
      const message = reply.choices[0]?.message as OpenAI.ChatCompletionMessage & { reasoning_content?: string };
      messages.push(message);
      const calls = (message.tool_calls ?? []).flatMap((call) => (call.type === 'function' ? [call] : []));
      ids = calls.map(({ id }) => id);
      return {
        thinking: message.reasoning_content ?? '',
        text: message.content ?? '',
        calls: calls.map((call) => ({ name: call.function.name, input: JSON.parse(call.function.arguments) })),
      };
    },
    answer: (results) => {
      for (const [i, { content }] of results.entries()) {
        messages.push({ role: 'tool', tool_call_id: ids[i] as string, content });
      }
    },
    tell: (content) => void messages.push({ role: 'user', content }),
  };
}

function messagesAgent(session: Opened, stream: boolean): Agent {
  const client = new Anthropic({
    baseURL: session.baseUrl.replace(/\/v1$/, ''),
    apiKey: session.apiKey,
    maxRetries: 0,
  });
  const messages: Anthropic.MessageParam[] = [];
  let ids: string[] = [];
  const tools = toolNames.map((name) => ({ name, input_schema: { type: 'object' as const } }));
  return {
    ask: async () => {
      const body = { model: 'seedling', max_tokens: 100_000, messages, tools };
      const reply = stream
        ? await client.messages.stream(body).finalMessage()
        : // The client asks to stream what may take long.
          await client.messages.create({ ...body, stream: false }, { timeout: 60_000 });
      messages.push({ role: 'assistant', content: reply.content });
      const calls = reply.content.filter((block) => block.type === 'tool_use');
      ids = calls.map(({ id }) => id);
      return {
        thinking: reply.content.map((block) => (block.type === 'thinking' ? block.thinking : '')).join(''),
        text: reply.content.map((block) => (block.type === 'text' ? block.text : '')).join(''),
        calls: calls.map(({ name, input }) => ({ name, input })),
      };
    },
    answer: (results) => {
      const blocks = results.map(({ content, isError }, i) => ({
        ...{ type: 'tool_result' as const, tool_use_id: ids[i] as string, content },
        ...(isError && { is_error: true }),
      }));
      messages.push({ role: 'user', content: blocks });
    },
    tell: (content) => void messages.push({ role: 'user', content }),
  };
}

function responsesAgent(session: Opened, stream: boolean): Agent {
  const client = clientOf(session);
  const input: OpenAI.Responses.ResponseInputItem[] = [];
  let ids: string[] = [];
  const tools = toolNames.map((name) => ({ type: 'function' as const, name, parameters: null, strict: null }));
  return {
    ask: async () => {
      const body = { model: 'seedling', input, tools };
      const reply = stream ? await client.responses.stream(body).finalResponse() : await client.responses.create(body);
      input.push(...(reply.output as OpenAI.Responses.ResponseInputItem[]));
      const calls = reply.output.flatMap((item) => (item.type === 'function_call' ? [item] : []));
      ids = calls.map((call) => call.call_id);
      const summaries = reply.output.flatMap((item) => (item.type === 'reasoning' ? item.summary : []));
      return {
        thinking: summaries.map(({ text }) => text).join(''),
        text: reply.output_text,
        calls: calls.map((call) => ({ name: call.name, input: JSON.parse(call.arguments) })),
      };
    },
    answer: (results) => {
      for (const [i, { content }] of results.entries()) {
        input.push({ type: 'function_call_output', call_id: ids[i] as string, output: content });
      }
    },
    tell: (content) => void input.push({ type: 'message', role: 'user', content }),
  };
}

const tags = ['<tool_call>', '</tool_call>', '<think>', '</think>', '<|im_start|>', '<|im_end|>'];
const text = fc
  .oneof(
    fc.string({ unit: 'binary', maxLength: 30 }),
    fc.string({ unit: 'grapheme', maxLength: 30 }),
    fc
      .array(
        fc.constantFrom('<', '</', '\n\n', '  ', '"', '\\', '{', '}', 'é', '漢', '😀', 'data: ', '\r\n', '```', '\0'),
      )
      .map((it) => it.join('')),
  )
  .filter((it) => tags.every((tag) => !it.includes(tag)));
/** Agents and templates trim what is said at its ends. */
const spoken = text.map((it) => it.trim());
const call = fc.record<Call>({
  name: fc.constantFrom(...toolNames),
  input: fc
    .dictionary(fc.string({ unit: 'grapheme', maxLength: 8 }), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 })
    .map((it) => JSON.parse(JSON.stringify(it)) as unknown)
    .filter(
      (it) => tags.every((tag) => !JSON.stringify(it).includes(tag)) && !JSON.stringify(it).includes('__proto__'),
    ),
});
const said = fc
  .record<Said>({ thinking: spoken, text: spoken, calls: fc.array(call, { maxLength: 3 }) })
  .map((it) => (it.text === '' && it.calls.length === 0 ? { ...it, text: 'Yes.' } : it));
const result = fc.record<Result>({ content: text, isError: fc.boolean() });
const step = said.chain((it) =>
  fc.record<Step>({
    said: fc.constant(it),
    results: fc.array(result, { minLength: it.calls.length, maxLength: it.calls.length }),
    user: text.map((words) => `Go on. ${words}`),
  }),
);
const conversation = fc.array(step, { minLength: 1, maxLength: 4 });

/** In the model's own form. */
function sampled({ thinking, text: content, calls }: Said): string {
  const thought = thinking === '' ? '' : `<think>\n${thinking}\n</think>\n\n`;
  const called = calls.map(
    (it) => `\n<tool_call>\n${JSON.stringify({ name: it.name, arguments: it.input })}\n</tool_call>`,
  );
  return thought + content + called.join('');
}

const rollout = rolloutId(groupId('step/0', 0), 0);

async function converse(open: typeof chatAgent, stream: boolean, steps: readonly Step[]): Promise<void> {
  const rig = await startRig(new LetterSampler((turn) => sampled((steps[turn] as Step).said), 1_000_000));
  try {
    const session = await rig.proxy.sessions.open(rollout, { ...sessionOptions, maxTokensPerTurn: 100_000 });
    const agent = open(session, stream);
    agent.tell('Fix total.');
    const heard: string[] = [];
    for (const { said: expected, results, user } of steps) {
      expect(await agent.ask()).toEqual(expected);
      heard.push(sampled(expected));
      if (results.length > 0) agent.answer(results);
      else agent.tell(user);
      heard.push(...(results.length > 0 ? results.map(({ content }) => content) : [user]));
    }
    expect(await session.close()).toMatchObject({
      turns: steps.length,
      exactTurns: steps.length,
      toolCalls: steps.reduce((sum, it) => sum + it.said.calls.length, 0),
      retokenizedSampledTokens: 0,
    });
    const records = rig.journal.index.turns(rollout);
    expect(records.map((turn) => turn.break)).toEqual(steps.map(() => null));
    // What came after the last turn was never asked with.
    const path = tokenizer.decode(pathOf(turnsOf(records).at(-1) as Parameters<typeof pathOf>[0]));
    const before = heard.slice(0, heard.length - Math.max(1, steps.at(-1)?.results.length ?? 0));
    let at = 0;
    for (const words of before) {
      const found = path.indexOf(words, at);
      expect(found, `${JSON.stringify(words)} in ${JSON.stringify(path)}`).toBeGreaterThanOrEqual(at);
      at = found + words.length;
    }
  } finally {
    await rig.stop();
    await removeDirectory(rig.directory);
  }
}

describe.each([
  ['chat completions', chatAgent],
  ['messages', messagesAgent],
  ['responses', responsesAgent],
])('conversations in %s', (_, open) => {
  it.each([
    ['JSON', false],
    ['SSE', true],
  ])('lose nothing and keep their order over %s', { timeout: 300_000 }, async (__, stream) => {
    await fc.assert(
      fc.asyncProperty(conversation, (steps) => converse(open, stream, steps)),
      { seed: 20261129, numRuns: 25 },
    );
  });
});
