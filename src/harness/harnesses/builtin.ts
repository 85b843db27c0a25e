/**
 * The built-in agent: the stock `openai` client against the job's base URL, as a foreign agent would be.
 *
 * It ends at a call of `finish`, at a turn without a call, or at its limits. Several calls of one turn are started in
 * order and awaited together; their effects are in the order of the calls whatever their timing (harness/tools.ts).
 *
 * Nothing is retried here: a provider's fault is an outcome, and the rollout's owner decides.
 */
import { APIError, OpenAI } from 'openai';
import type {
  ChatCompletionMessageFunctionToolCall as Call,
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionMessageParam,
  ChatCompletionTool,
} from 'openai/resources/chat/completions';
import { EspalierError, messageOf } from '../../core/errors.ts';
import type { Outcome } from '../../core/outcome.ts';
import type { Harness, HarnessJob } from '../harness.ts';
import { builtinTools, runTool, systemPrompt } from '../tools.ts';
import { collectStream, type Reply, replyOf } from './chat-reply.ts';

export interface BuiltinOptions {
  /** Ask for an event stream; the same conversation, more work for the client. Default false. */
  readonly stream?: boolean;
}

const tools: ChatCompletionTool[] = builtinTools.map((tool) => ({
  type: 'function',
  function: { name: tool.name, description: tool.description, parameters: { ...tool.parameters } },
}));

export function builtinHarness(options: BuiltinOptions = {}): Harness {
  return {
    name: 'builtin',
    async run(job) {
      const timeout = AbortSignal.timeout(job.limits.timeMs);
      const signal = AbortSignal.any([job.signal, timeout]);
      try {
        return await converse(job, options.stream === true, signal);
      } catch (thrown) {
        if (job.signal.aborted) return { status: 'cancelled', why: messageOf(job.signal.reason) };
        if (timeout.aborted) return { status: 'truncated', by: 'time' };
        return outcomeOf(thrown);
      }
    },
  };
}

async function converse(job: HarnessJob, stream: boolean, signal: AbortSignal): Promise<Outcome> {
  const client = new OpenAI({ baseURL: job.baseUrl, apiKey: job.apiKey, maxRetries: 0, timeout: job.limits.timeMs });
  const messages: ChatCompletionMessageParam[] = [
    { role: 'system', content: systemPrompt },
    { role: 'user', content: job.task.statement },
  ];
  for (let turn = 0; turn < job.limits.maxTurns; turn++) {
    const reply = await complete(client, { model: job.model, messages, tools }, stream, signal);
    if (reply.calls.length === 0) {
      return reply.finishReason === 'length' ? { status: 'truncated', by: 'tokens' } : { status: 'completed' };
    }
    messages.push({ role: 'assistant', content: reply.content, tool_calls: [...reply.calls] });
    messages.push(...(await runCalls(job, reply.calls, signal)));
    if (reply.calls.some((call) => call.function.name === 'finish')) return { status: 'completed' };
  }
  return { status: 'truncated', by: 'turns' };
}

async function complete(
  client: OpenAI,
  body: ChatCompletionCreateParamsNonStreaming,
  stream: boolean,
  signal: AbortSignal,
): Promise<Reply> {
  if (!stream) return replyOf(await client.chat.completions.create(body, { signal }));
  return collectStream(await client.chat.completions.create({ ...body, stream: true }, { signal }));
}

function runCalls(job: HarnessJob, calls: readonly Call[], signal: AbortSignal): Promise<ChatCompletionMessageParam[]> {
  return Promise.all(
    calls.map(async (call): Promise<ChatCompletionMessageParam> => {
      const answer = await runTool(job.sandbox, call.function.name, call.function.arguments, signal);
      return { role: 'tool', tool_call_id: call.id, content: answer.content };
    }),
  );
}

/** Anything that came out of the client is the provider's, unless it says that the conversation became too long. */
function outcomeOf(thrown: unknown): Outcome {
  if (thrown instanceof APIError && thrown.code === 'context_length_exceeded')
    return { status: 'truncated', by: 'context' };
  const message = messageOf(thrown).replace(/\s+/g, ' ').slice(0, 300);
  return { status: 'failed', boundary: thrown instanceof EspalierError ? thrown.boundary : 'provider', message };
}
