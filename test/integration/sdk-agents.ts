/**
 * Small agents on the stock clients: two tools, a loop, nothing that knows of Espalier. One a dialect, with replies as
 * JSON or as an event stream.
 *
 * Not real agents (test/agents). What these do about a broken call is what most real ones do: the client tries again
 * what it can, and a call that broke off behind its head is asked again as it was.
 */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';

export interface AgentCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}

export interface Said {
  readonly text: string;
  readonly calls: readonly AgentCall[];
}

/** One conversation in one dialect. */
export interface Conversation {
  /** The next reply; the same request again when the last one failed. */
  ask(): Promise<Said>;
  answer(results: readonly { readonly id: string; readonly content: string }[]): void;
  /** As the user. */
  say(text: string): void;
}

export interface AgentOptions {
  /** `http://127.0.0.1:4123/s/<session>/v1` */
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly model: string;
  readonly task: string;
  readonly stream: boolean;
  /** The clients' own; default 10 minutes, and 5 retries. */
  readonly timeoutMs?: number;
  readonly maxRetries?: number;
  readonly fetch?: typeof fetch;
  readonly tools: Readonly<Record<string, (input: Readonly<Record<string, string>>) => string>>;
}

export interface AgentReport {
  readonly said: readonly Said[];
  /** Calls that broke off and were asked again. */
  readonly asksAgain: number;
}

const maxAsksAgain = 20;
const parameters = { type: 'object', properties: { path: { type: 'string' } } };

/** Works until the model calls no tool. Rejects when the agent gives up. */
export async function work(dialect: DialectName, options: AgentOptions): Promise<AgentReport> {
  const conversation = dialects[dialect](options);
  const said: Said[] = [];
  let asksAgain = 0;
  for (;;) {
    const reply = await conversation.ask().catch((failure: unknown) => {
      if (!isBroken(failure) || ++asksAgain > maxAsksAgain) throw failure;
      return null;
    });
    if (reply === null) continue;
    said.push(reply);
    if (reply.calls.length === 0) return { said, asksAgain };
    conversation.answer(
      reply.calls.map(({ id, name, arguments: text }) => ({
        id,
        content: options.tools[name]?.(JSON.parse(text)) ?? `error: there is no tool ${name}`,
      })),
    );
  }
}

/** A reply that broke off, or an error within it. A refusal has a status, and the client has tried it again itself. */
function isBroken(failure: unknown): boolean {
  return !(failure instanceof OpenAI.APIError || failure instanceof Anthropic.APIError) || failure.status === undefined;
}

export const dialects = { chat, responses, messages } as const;
export type DialectName = keyof typeof dialects;

function openai({ baseUrl, apiKey, timeoutMs, maxRetries = 5, fetch }: AgentOptions): OpenAI {
  return new OpenAI({
    baseURL: baseUrl,
    apiKey,
    maxRetries,
    ...(timeoutMs !== undefined && { timeout: timeoutMs }),
    ...(fetch !== undefined && { fetch }),
  });
}

function chat(options: AgentOptions): Conversation {
  const client = openai(options);
  const history: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: options.task }];
  const tools = Object.keys(options.tools).map((name) => ({
    type: 'function' as const,
    function: { name, parameters },
  }));
  return {
    ask: async () => {
      const body = { model: options.model, messages: history, tools };
      const reply = options.stream
        ? await client.chat.completions.stream(body).finalChatCompletion()
        : await client.chat.completions.create(body);
      const { content, tool_calls: asked } = (reply.choices[0] as OpenAI.ChatCompletion.Choice).message;
      const calls = (asked ?? []).filter((call) => call.type === 'function');
      history.push({ role: 'assistant', content, ...(calls.length > 0 && { tool_calls: calls }) });
      return { text: content ?? '', calls: calls.map(({ id, function: called }) => ({ id, ...called })) };
    },
    answer: (results) => {
      for (const { id, content } of results) history.push({ role: 'tool', tool_call_id: id, content });
    },
    say: (content) => void history.push({ role: 'user', content }),
  };
}

function responses(options: AgentOptions): Conversation {
  const client = openai(options);
  const input: OpenAI.Responses.ResponseInput = [{ role: 'user', content: options.task }];
  const tools = Object.keys(options.tools).map((name) => ({
    type: 'function' as const,
    name,
    parameters,
    strict: false,
  }));
  return {
    ask: async () => {
      const body = { model: options.model, input, tools, store: false };
      const reply = options.stream
        ? await client.responses.stream(body).finalResponse()
        : await client.responses.create(body);
      const items = reply.output.filter((item) => item.type === 'message' || item.type === 'function_call');
      input.push(...items.map(({ id: _, ...item }) => item as OpenAI.Responses.ResponseInputItem));
      const calls = items.filter((item) => item.type === 'function_call');
      return {
        text: reply.output_text,
        calls: calls.map((call) => ({ id: call.call_id, name: call.name, arguments: call.arguments })),
      };
    },
    answer: (results) => {
      for (const { id, content } of results) {
        input.push({ type: 'function_call_output', call_id: id, output: content });
      }
    },
    say: (content) => void input.push({ role: 'user', content }),
  };
}

function messages(options: AgentOptions): Conversation {
  const { baseUrl, apiKey, timeoutMs, maxRetries = 5, fetch } = options;
  const client = new Anthropic({
    baseURL: baseUrl.replace(/\/v1$/, ''),
    apiKey,
    maxRetries,
    ...(timeoutMs !== undefined && { timeout: timeoutMs }),
    ...(fetch !== undefined && { fetch }),
  });
  const history: Anthropic.MessageParam[] = [{ role: 'user', content: options.task }];
  const tools = Object.keys(options.tools).map((name) => ({
    name,
    input_schema: { ...parameters, type: 'object' as const },
  }));
  return {
    ask: async () => {
      const body = { model: options.model, max_tokens: 4000, messages: history, tools };
      const reply = options.stream
        ? await client.messages.stream(body).finalMessage()
        : await client.messages.create(body);
      history.push({ role: 'assistant', content: reply.content });
      const texts = reply.content.filter((block) => block.type === 'text');
      const calls = reply.content.filter((block) => block.type === 'tool_use');
      return {
        text: texts.map(({ text }) => text).join(''),
        calls: calls.map(({ id, name, input }) => ({ id, name, arguments: JSON.stringify(input) })),
      };
    },
    answer: (results) => {
      history.push({
        role: 'user',
        content: results.map(({ id, content }) => ({ type: 'tool_result', tool_use_id: id, content })),
      });
    },
    say: (content) => void history.push({ role: 'user', content }),
  };
}
