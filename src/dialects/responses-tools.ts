/**
 * Tools of the responses dialect: what the model is offered, and what its calls are called on the wire.
 *
 * A chat template knows functions only. So a custom tool is offered as a function with one string, and a tool of a
 * namespace under both names. Tools that the server would run itself are not offered: there is nobody to run them.
 *
 * Invariants:
 * 1. callItem() and callOf() undo each other, up to the white space and the order of arguments, so a call that an agent
 *    sends back is the call that was sampled.
 * 2. What cannot be run is refused, or it is a tool that the model may leave alone (`hostedKinds`), and then recorded.
 */
import type { ToolCall } from '../core/message.ts';
import type { ToolDefinition } from '../core/tool.ts';
import { invalid, type JsonObject, listAt, objectAt, shownKind, textAt } from './json-reader.ts';

/** Accepted, recorded and not offered to the model: agents send them unasked. */
export const hostedKinds: readonly string[] = ['web_search', 'web_search_preview', 'image_generation', 'tool_search'];
export const offeredKinds: readonly string[] = ['function', 'custom', 'namespace'];

interface WireName {
  readonly kind: 'function' | 'custom';
  readonly name: string;
  readonly namespace: string | null;
}

export interface OfferedTools {
  readonly definitions: readonly ToolDefinition[];
  /** By the name that the model sees. A name that is not here is a function's. */
  readonly names: ReadonlyMap<string, WireName>;
  /** As they were given. */
  readonly hosted: readonly JsonObject[];
}

/** Throws Refusal. */
export function toolsOf(given: readonly unknown[]): OfferedTools {
  const definitions: ToolDefinition[] = [];
  const names = new Map<string, WireName>();
  const hosted: JsonObject[] = [];
  const offer = (tool: JsonObject, at: string, namespace: string | null, about: string): void => {
    const name = textAt(tool['name'], `${at}.name`);
    const kind = tool['type'] === 'custom' ? 'custom' : 'function';
    const seen = seenName(namespace, name);
    if (kind === 'custom' || namespace !== null) names.set(seen, { kind, name, namespace });
    const definition = kind === 'custom' ? customDefinition(tool, at, seen) : functionDefinition(tool, at, seen);
    definitions.push({ ...definition, description: lines(about, definition.description) });
  };
  for (const [i, value] of given.entries()) {
    const at = `tools[${i}]`;
    const tool = objectAt(value, at);
    const kind = shownKind(tool['type']);
    if (kind === 'function' || kind === 'custom') offer(tool, at, null, '');
    else if (kind === 'namespace') {
      const namespace = textAt(tool['name'], `${at}.name`);
      const about = textAt(tool['description'] ?? '', `${at}.description`);
      for (const [k, inner] of listAt(tool['tools'], `${at}.tools`).entries()) {
        const where = `${at}.tools[${k}]`;
        const member = objectAt(inner, where);
        if (member['type'] !== 'function' && member['type'] !== 'custom') throw badKind(where, member['type']);
        offer(member, where, namespace, about);
      }
    } else if (hostedKinds.includes(kind)) hosted.push(tool);
    else throw badKind(at, tool['type']);
  }
  return { definitions, names, hosted };
}

/** What identifies a call on the wire, without id and status. */
export type CallItem =
  | { readonly type: 'function_call'; readonly call_id: string; readonly name: string; readonly arguments: string }
  | { readonly type: 'custom_tool_call'; readonly call_id: string; readonly name: string; readonly input: string };

export function callItem(call: ToolCall, names: OfferedTools['names']): CallItem {
  const { kind, name, namespace } = names.get(call.name) ?? { kind: 'function', name: call.name, namespace: null };
  const named = { name, ...(namespace !== null && { namespace }) };
  if (kind === 'function') {
    return { type: 'function_call', call_id: call.id, ...named, arguments: call.arguments };
  }
  const input = inputOf(call.arguments);
  return input === null
    ? { type: 'custom_tool_call', call_id: call.id + rawMark, ...named, input: call.arguments }
    : { type: 'custom_tool_call', call_id: call.id, ...named, input };
}

/** A `function_call` or `custom_tool_call` item as the model's call. Throws Refusal. */
export function callOf(item: JsonObject, at: string): ToolCall {
  const callId = textAt(item['call_id'], `${at}.call_id`);
  const namespace = item['namespace'] ?? null;
  const name = seenName(
    namespace === null ? null : textAt(namespace, `${at}.namespace`),
    textAt(item['name'], `${at}.name`),
  );
  if (item['type'] === 'function_call') {
    return { id: callIdOf(callId), name, arguments: textAt(item['arguments'], `${at}.arguments`) };
  }
  const input = textAt(item['input'], `${at}.input`);
  return { id: callIdOf(callId), name, arguments: callId.endsWith(rawMark) ? input : JSON.stringify({ input }) };
}

/** Ends the id of a custom tool's call whose arguments were no `{"input": "..."}`: its input is the arguments' text. */
const rawMark = '_raw';

export const callIdOf = (wireId: string): string =>
  wireId.endsWith(rawMark) ? wireId.slice(0, -rawMark.length) : wireId;

function inputOf(text: string): string | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Object.keys(value).length !== 1) return null;
    const { input } = value as { readonly input?: unknown };
    return typeof input === 'string' ? input : null;
  } catch {
    return null;
  }
}

const seenName = (namespace: string | null, name: string): string =>
  namespace === null ? name : `${namespace}.${name}`;
const lines = (...parts: readonly string[]): string => parts.filter((part) => part !== '').join('\n');

function functionDefinition(tool: JsonObject, at: string, name: string): ToolDefinition {
  return {
    name,
    description: textAt(tool['description'] ?? '', `${at}.description`),
    parameters: objectAt(tool['parameters'] ?? { type: 'object', properties: {} }, `${at}.parameters`),
  };
}

function customDefinition(tool: JsonObject, at: string, name: string): ToolDefinition {
  const format = objectAt(tool['format'] ?? { type: 'text' }, `${at}.format`);
  const grammar =
    format['type'] === 'grammar'
      ? `The input follows this ${shownKind(format['syntax'])} grammar:\n${textAt(format['definition'], `${at}.format.definition`)}`
      : '';
  return {
    name,
    description: lines(textAt(tool['description'] ?? '', `${at}.description`), grammar),
    parameters: {
      type: 'object',
      properties: { input: { type: 'string' } },
      required: ['input'],
      additionalProperties: false,
    },
  };
}

function badKind(at: string, kind: unknown): Error {
  const supported = [...offeredKinds, ...hostedKinds].map((name) => `'${name}'`).join(', ');
  return invalid(
    `${at}.type`,
    `Invalid value: '${shownKind(kind)}'. This model runs no such tool; supported are: ${supported}.`,
    'invalid_value',
  );
}
