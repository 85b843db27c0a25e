/**
 * ATIF documents as conversations.
 *
 * Invariants:
 * 1. What the format forbids to train on is not learned: copied context, and steps that no model made.
 * 2. A step that replaces the context begins another conversation, as the model saw it.
 * 3. What a conversation cannot hold, e.g. an image, is an error and never left out.
 */
import { EspalierError } from '../../core/errors.ts';
import type { Message } from '../../core/message.ts';
import type { ToolDefinition } from '../../core/tool.ts';
import { type AtifDocument, type AtifDocumentStep, atifSchema } from './atif-schema.ts';
import { joinedText } from './chat-lines.ts';
import { type Conversation, withThinking } from './conversation.ts';

/** Those of embedded trajectories, too. Throws ZodError, EspalierError('config') without the file's name. */
export function atifConversations(value: unknown): Conversation[] {
  return conversationsOf(atifSchema.parse(value));
}

function conversationsOf(document: AtifDocument): Conversation[] {
  const tools = (document.agent.tool_definitions ?? []).map(toolOf);
  const conversations: { messages: Message[]; tools: ToolDefinition[]; unlearned: Set<number> }[] = [];
  let open = { messages: [] as Message[], tools, unlearned: new Set<number>() };
  for (const step of document.steps) {
    const boundary = boundaryOf(step);
    if (boundary === 'replace') {
      conversations.push(open);
      open = { messages: [], tools, unlearned: new Set() };
    } else if (boundary === 'truncate') {
      throw new EspalierError('config', `step ${step.step_id} cuts the context, and the format does not say where`);
    }
    const messages = boundary === null ? messagesOf(step) : contextMessages(step);
    const unlearned = step.is_copied_context === true || step.llm_call_count === 0 || notSampled(step);
    for (const message of messages) {
      if (unlearned) open.unlearned.add(open.messages.length);
      open.messages.push(message);
    }
  }
  conversations.push(open);
  const inner = (document.subagent_trajectories ?? []).flatMap(conversationsOf);
  return [...conversations.filter(({ messages }) => messages.length > 0), ...inner];
}

function messagesOf(step: AtifDocumentStep): Message[] {
  const text = textOf(step.message, step);
  const results = step.observation?.results ?? [];
  if (step.source !== 'agent') {
    const said: Message[] = text === '' ? [] : [{ role: step.source, content: text }];
    return [...said, ...contextMessages(step)];
  }
  const calls = (step.tool_calls ?? []).map((call) => ({
    id: call.tool_call_id,
    name: call.function_name,
    arguments: argumentsText(call),
  }));
  return [
    { role: 'assistant', content: withThinking(step.reasoning_content ?? '', text), toolCalls: calls },
    ...results.map((result): Message => {
      const content = textOf(result.content ?? '', step);
      // A result of no call is what the environment says next.
      return result.source_call_id == null
        ? { role: 'user', content }
        : { role: 'tool', toolCallId: result.source_call_id, content };
    }),
  ];
}

/** What a step without an agent adds to the context beside its message. */
function contextMessages(step: AtifDocumentStep): Message[] {
  return (step.observation?.results ?? []).map(({ content }) => ({
    role: 'user',
    content: textOf(content ?? '', step),
  }));
}

function boundaryOf({ source, extra }: AtifDocumentStep): string | null {
  const management = (extra as { readonly context_management?: { readonly boundary?: unknown } } | null | undefined)
    ?.context_management;
  return source === 'system' && typeof management?.boundary === 'string' ? management.boundary : null;
}

/** Our own exports mark replies that came with a request, and that the policy did not sample. */
function notSampled({ source, extra }: AtifDocumentStep): boolean {
  return source === 'agent' && extra?.['sampled'] === false;
}

/** Arguments that were no object are kept as text by our own exports. */
function argumentsText({ arguments: value, extra }: NonNullable<AtifDocumentStep['tool_calls']>[number]): string {
  const text = extra?.['arguments_text'];
  return typeof text === 'string' ? text : JSON.stringify(value);
}

function textOf(content: AtifDocumentStep['message'], step: AtifDocumentStep): string {
  if (typeof content === 'string') return content;
  return joinedText(
    content.map((part) => {
      if (part.type === 'text') return part;
      throw new EspalierError(
        'config',
        `step ${step.step_id} has ${part.type} content, and conversations here are text alone`,
      );
    }),
  );
}

function toolOf(definition: Readonly<Record<string, unknown>>): ToolDefinition {
  const { name, description, parameters } = (definition['function'] ?? {}) as Partial<ToolDefinition>;
  if (definition['type'] !== 'function' || typeof name !== 'string') {
    throw new EspalierError(
      'config',
      "agent.tool_definitions: only { type: 'function', function: { name, ... } } is read",
    );
  }
  return { name, description: description ?? '', parameters: parameters ?? { type: 'object', properties: {} } };
}
