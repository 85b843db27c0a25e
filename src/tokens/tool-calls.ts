/**
 * What a completion says: thinking, content and tool calls, in the Hermes form that Qwen and the seedlings use:
 * `<tool_call>{"name": "read", "arguments": {"path": "a.js"}}</tool_call>`, with or without newlines, any number.
 *
 * Not a JSON validator: a harness answers a bad call with an error, so a bad call is passed on.
 *
 * Invariants:
 * 1. Nothing that was sampled is lost: it is thinking, content, or part of a call.
 * 2. The arguments of a call are the JSON text as sampled, whitespace around it apart, even when it is broken.
 * 3. A `<tool_call>` in which no name can be found stays content.
 */

export interface ParsedToolCall {
  readonly name: string;
  /** JSON text as sampled; may be broken. `{}` when the call gives none. */
  readonly arguments: string;
}

export interface ParsedCompletion {
  /** Text inside `<think>`, or '' */
  readonly thinking: string;
  readonly content: string;
  readonly toolCalls: readonly ParsedToolCall[];
}

export const callOpen = '<tool_call>';
const callClose = '</tool_call>';
export const thinkOpen = '<think>';
export const thinkClose = '</think>';

/** Where `tag` may be beginning at the end of the text, or the end. */
export function endBeforePartial(text: string, tag: string): number {
  const from = text.lastIndexOf('<');
  return from >= 0 && tag.startsWith(text.slice(from)) ? from : text.length;
}

/**
 * `text` is the decoded completion without its stop token. `inThinking` says that the prompt ended inside `<think>`.
 */
export function parseCompletion(text: string, inThinking = false): ParsedCompletion {
  const { thinking, rest } = splitThinking(text, inThinking);
  let content = '';
  const toolCalls: ParsedToolCall[] = [];
  let from = 0;
  for (;;) {
    const open = rest.indexOf(callOpen, from);
    if (open < 0) break;
    const bodyStart = open + callOpen.length;
    const close = rest.indexOf(callClose, bodyStart);
    const reopened = rest.indexOf(callOpen, bodyStart);
    const unclosed = close < 0 || (reopened >= 0 && reopened < close);
    const bodyEnd = unclosed ? (reopened >= 0 ? reopened : rest.length) : close;
    const call = parseCall(rest.slice(bodyStart, bodyEnd));
    const end = unclosed ? bodyEnd : close + callClose.length;
    if (call === null) content += rest.slice(from, end);
    else {
      content += rest.slice(from, open);
      toolCalls.push(call);
    }
    from = end;
  }
  content += rest.slice(from);
  return { thinking, content: toolCalls.length === 0 ? content : content.trimEnd(), toolCalls };
}

function splitThinking(text: string, inThinking: boolean): { thinking: string; rest: string } {
  const lead = text.trimStart();
  if (!inThinking && !lead.startsWith(thinkOpen)) return { thinking: '', rest: text };
  const body = inThinking ? text : lead.slice(thinkOpen.length);
  const close = body.indexOf(thinkClose);
  if (close < 0) return { thinking: body.trim(), rest: '' };
  return { thinking: body.slice(0, close).trim(), rest: body.slice(close + thinkClose.length).trimStart() };
}

function parseCall(body: string): ParsedToolCall | null {
  const name = stringOf(topLevelValue(body, 'name'));
  if (name === null || name === '') return null;
  const value = topLevelValue(body, 'arguments') ?? topLevelValue(body, 'parameters');
  if (value === null) return { name, arguments: '{}' };
  return { name, arguments: stringOf(value) ?? value };
}

/** Some models write the arguments as a JSON string that holds JSON. */
function stringOf(json: string | null): string | null {
  if (json === null || !json.startsWith('"')) return null;
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'string' ? value : null;
  } catch {
    return null;
  }
}

/**
 * Raw text of a value of the object at the start of `text`, or null when the key is not there. Reads broken JSON as
 * far as it goes: a value that never ends is given up to the end.
 */
function topLevelValue(text: string, key: string): string | null {
  let at = text.indexOf('{') + 1;
  if (at === 0) return null;
  while (at < text.length) {
    at = skip(text, at, /[\s,]/u);
    if (text[at] !== '"') return null;
    const keyEnd = endOfValue(text, at);
    const found = stringOf(text.slice(at, keyEnd)) === key;
    at = skip(text, keyEnd, /\s/u);
    if (text[at] !== ':') return null;
    const start = skip(text, at + 1, /\s/u);
    at = endOfValue(text, start);
    if (found) return text.slice(start, at).trimEnd();
  }
  return null;
}

function skip(text: string, from: number, what: RegExp): number {
  let at = from;
  while (at < text.length && what.test(text[at] as string)) at++;
  return at;
}

/** Index after the JSON value at `start`: its closing quote or bracket, or where a comma or bracket outside it stands. */
function endOfValue(text: string, start: number): number {
  let depth = 0;
  let inString = false;
  for (let at = start; at < text.length; at++) {
    const character = text[at];
    if (inString) {
      if (character === '\\') at++;
      else if (character === '"') {
        inString = false;
        if (depth === 0) return at + 1;
      }
    } else if (character === '"') inString = true;
    else if (character === '{' || character === '[') depth++;
    else if (character === '}' || character === ']') {
      if (depth === 0) return at;
      depth--;
      if (depth === 0) return at + 1;
    } else if (character === ',' && depth === 0) return at;
  }
  return text.length;
}
