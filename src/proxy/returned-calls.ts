/**
 * Calls that an agent sends back in other words than they were sampled in, and with the same meaning.
 *
 * Not canonical form: that knows no tools and no ids. Claude Code runs a call as it mends it, and its history holds what
 * it ran: defaults of the tool's schema are filled in, white space at the ends of lines is cut, `cd FOLDER && ` before
 * a command goes, `"20"` becomes 20. pi reads arguments that are broken as far as it can and sends back what it read.
 * opencode puts a call of its tool `invalid` in the place of a call that it cannot run. A model that would read its own
 * words so changed would continue from ids that nobody sampled.
 *
 * Invariants:
 * 1. Only a call under an id of this session is given back as it was sampled, and only when no more than the above
 *    differs: an agent that shortens or rewrites what was said is believed.
 * 2. Nothing else of a message changes.
 */
import type { Message, ToolCall } from '../core/message.ts';
import type { ToolDefinition } from '../core/tool.ts';

/** What was sampled: name and JSON text. */
export type SampledCall = Pick<ToolCall, 'name' | 'arguments'>;

/** Dialects put a prefix of their own before it. */
const callId = /call_(\d+)_(\d+)$/;

export const callIdOf = (turn: number, place: number): string => `call_${turn}_${place}`;

/** `sampled` gives call `place` of turn `turn`, or null. */
export function asSampled(
  messages: readonly Message[],
  tools: readonly ToolDefinition[],
  sampled: (turn: number, place: number) => SampledCall | null,
): readonly Message[] {
  const restored = (call: ToolCall): ToolCall => {
    const [, turn, place] = callId.exec(call.id) ?? [];
    const known = turn === undefined ? null : sampled(Number(turn), Number(place));
    if (known === null) return call;
    if (known.name !== call.name) return saysInvalid(known, call) ? { ...call, ...known } : call;
    if (known.arguments === call.arguments) return call;
    const schema = tools.find(({ name }) => name === call.name)?.parameters ?? {};
    return isSame(known.arguments, call.arguments, schema) ? { ...call, arguments: known.arguments } : call;
  };
  return messages.map((message) => {
    if (message.role !== 'assistant' || message.toolCalls.length === 0) return message;
    return { ...message, toolCalls: message.toolCalls.map(restored) };
  });
}

type Fields = Readonly<Record<string, unknown>>;

/** opencode's `{"tool": "bash", "error": "..."}`; what the model is to learn from it is in the answer to the call too. */
function saysInvalid(sampled: SampledCall, { name, arguments: text }: ToolCall): boolean {
  const came = jsonIn(text);
  return name === 'invalid' && isFields(came) && came['tool'] === sampled.name && typeof came['error'] === 'string';
}

function isSame(sampled: string, returned: string, schema: Fields): boolean {
  const [said, came] = [jsonIn(sampled), jsonIn(returned)];
  if (!isFields(came)) return false;
  // Broken: no agent has a way to say it, so whatever object comes under its id stands for it.
  return !isFields(said) || sameFields(said, came, schema);
}

function sameFields(said: Fields, came: Fields, schema: Fields): boolean {
  if (Object.keys(said).some((key) => !Object.hasOwn(came, key))) return false;
  return Object.entries(came).every(([key, value]) => {
    const inner = propertyOf(schema, key);
    return Object.hasOwn(said, key)
      ? sameValue(said[key], value, inner)
      : Object.hasOwn(inner, 'default') && sameValue(inner['default'], value, {});
  });
}

function sameValue(said: unknown, came: unknown, schema: Fields): boolean {
  if (typeof said === 'string') {
    if (typeof came === 'string') return sameText(said, came);
    // As the tool's schema wants it: a number, a list, an object that was written as a string.
    return came !== null && sameValue(jsonIn(said), came, schema);
  }
  if (Array.isArray(said) || Array.isArray(came)) {
    if (!Array.isArray(said) || !Array.isArray(came) || said.length !== came.length) return false;
    const items = isFields(schema['items']) ? schema['items'] : {};
    return said.every((value, i) => sameValue(value, came[i], items));
  }
  if (isFields(said) && isFields(came)) return sameFields(said, came, schema);
  return said === came;
}

const changeOfFolder = /^cd [^\n&;|]+ && /;

function sameText(said: string, came: string): boolean {
  if (said === came) return true;
  const [bare, other] = [withoutLineEnds(said), withoutLineEnds(came)];
  return bare === other || bare.replace(changeOfFolder, '') === other;
}

/** The form of a line break does not count either. */
function withoutLineEnds(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

function propertyOf(schema: Fields, key: string): Fields {
  const properties = schema['properties'];
  if (!isFields(properties) || !Object.hasOwn(properties, key)) return {};
  const property = properties[key];
  return isFields(property) ? property : {};
}

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
