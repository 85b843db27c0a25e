/**
 * Proves, on sample conversations, that a template can be rendered piece by piece: what renderer.tail() gives is what
 * stands at that place in a full render, as text and as ids.
 *
 * Covered: answers, one and two tool calls, several user turns, with and without system message and tools.
 * Not covered: messages longer or stranger than the samples; templates that look at the clock.
 */
import { EspalierError } from '../core/errors.ts';
import type { Message } from '../core/message.ts';
import type { ToolDefinition } from '../core/tool.ts';
import type { Renderer } from './renderer.ts';

const system: Message = { role: 'system', content: 'You repair programs.' };
const user = (content: string): Message => ({ role: 'user', content });
const says = (content: string): Message => ({ role: 'assistant', content, toolCalls: [] });
const calls = (...paths: string[]): Message => ({
  role: 'assistant',
  content: '',
  toolCalls: paths.map((path, i) => ({ id: `call_${i}`, name: 'read', arguments: `{"path": "${path}"}` })),
});
const answers = (call: number, content: string): Message => ({ role: 'tool', toolCallId: `call_${call}`, content });
const tools: readonly ToolDefinition[] = [
  {
    name: 'read',
    description: 'Reads a file.',
    parameters: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] },
  },
];

const samples: readonly { readonly messages: readonly Message[]; readonly tools: readonly ToolDefinition[] }[] = [
  { messages: [user('Hello.'), says('Hi.'), user('Again.'), says('Hi again.'), user('Bye.')], tools: [] },
  { messages: [system, user('Fix it.'), says('Which file?'), user('a.js')], tools },
  { messages: [user('Fix it.'), calls('a.js'), answers(0, 'let a = 1;\n')], tools },
  {
    messages: [
      system,
      user('Fix it.'),
      calls('a.js', 'b.js'),
      answers(0, '1: a\n2: b'),
      answers(1, ''),
      says('Done.'),
      user('No.'),
    ],
    tools,
  },
  { messages: [user('Fix it.'), calls('a.js'), answers(0, 'é {"x": 1}'), calls('b.js'), answers(0, 'y')], tools: [] },
];

/** Throws EspalierError('checkpoint') with the first conversation and place where the bridge does not hold. */
export function checkBridge(renderer: Renderer): void {
  const stop = renderer.tokenizer.decode(renderer.stopIds.slice(0, 1));
  for (const sample of samples) {
    const full = renderer.promptText(sample.messages, sample.tools);
    for (const [at, message] of sample.messages.entries()) {
      if (message.role !== 'assistant') continue;
      const next = sample.messages.slice(at + 1);
      const until = next.findIndex((later) => later.role === 'assistant');
      const upTo = until < 0 ? sample.messages.length : at + 1 + until;
      const whole = renderer.promptText(sample.messages.slice(0, upTo), sample.tools);
      const before = renderer.promptText(sample.messages.slice(0, at), sample.tools);
      const tail = renderer.tailText(sample.messages.slice(at + 1, upTo), true);
      const said = whole.slice(before.length, whole.length - tail.length);
      const where = `after message ${at} (${message.role}) of a sample conversation with ${sample.messages.length}`;
      if (!whole.startsWith(before) || !whole.endsWith(tail) || whole.length < before.length + tail.length) {
        throw refused(`it rewrites what came before ${where}`);
      }
      if (!said.endsWith(stop)) {
        throw refused(`an assistant's message does not end with ${JSON.stringify(stop)} ${where}`);
      }
      const parts = [before, said, tail].map((part) => Array.from(renderer.tokenizer.encode(part)));
      if (parts.flat().join() !== Array.from(renderer.tokenizer.encode(whole)).join()) {
        throw refused(`its parts are tokenized differently when they are joined ${where}`);
      }
      if (!renderer.tokenizer.encode(full).length) throw refused('it renders nothing');
    }
  }
}

const refused = (reason: string): EspalierError =>
  new EspalierError(
    'checkpoint',
    `the chat template cannot be rendered turn by turn: ${reason}; use a template that only appends`,
  );
