/**
 * What agents and the model say in these benchmarks: sessions whose first request has a history of so many ids, and
 * whose later ones each add a reply and what a tool answered.
 *
 * Text is words of code and prose, cut to length with the tokenizer of `models/seedling`; no two sessions share more
 * than their first message, so that no cache knows one session's text from another's.
 */
import { join } from 'node:path';
import { loadRenderer } from '../../src/tokens/load.ts';

export const modelFolder = join(import.meta.dirname, '..', '..', 'models', 'seedling');
export const replyIds = 256;
const toolIds = 192;
const messageIds = 1024;

const renderer = await loadRenderer(modelFolder);
const { tokenizer } = renderer;
const words =
  'return the total of all items, not a sum; const count = list.length + 1; if (a < b) throw new Error(name)';
const ids = [...tokenizer.encode(`${words.replaceAll(';', ';\n')}\n`.repeat(80))];

/** Text of `count` ids, or one or two beside it where words meet. */
function textOf(count: number, from: number): string {
  const at = from % (ids.length - (count % ids.length));
  return tokenizer.decode(Array.from({ length: count }, (_, i) => ids[(at + i) % ids.length] as number));
}

/** What the model says, always: the ids with the stop token, and their text. */
export const reply = {
  ids: Int32Array.from([
    ...tokenizer.encode(textOf(replyIds - 1, 0)).slice(0, replyIds - 1),
    renderer.stopIds[0] as number,
  ]),
  get text() {
    return tokenizer.decode([...this.ids.slice(0, -1)]);
  },
  /** Token by token, as an event stream shows it. */
  get pieces() {
    const stream = tokenizer.stream();
    return [...this.ids.slice(0, -1)].map((id) => stream.push(Int32Array.of(id)));
  },
};

export type ChatMessage = { readonly role: 'system' | 'user' | 'assistant'; readonly content: string };

/** The messages of a session's first request: `count` ids, in messages as long as files that agents read. */
export function opening(session: number, count: number): ChatMessage[] {
  const messages: ChatMessage[] = [{ role: 'system', content: textOf(256, 0) }];
  for (let left = count - 256, i = 0; left > 0; left -= messageIds, i++) {
    const content = `file ${session}/${i}\n${textOf(Math.min(left, messageIds), session * 31 + i * 7)}`;
    messages.push({ role: i % 2 === 0 ? 'user' : 'assistant', content });
  }
  if (messages.at(-1)?.role !== 'user') messages.push({ role: 'user', content: 'Go on.' });
  return messages;
}

/** What the agent sends after a reply. */
export const next = (session: number, turn: number): ChatMessage => ({
  role: 'user',
  content: `answer ${session}/${turn}\n${textOf(toolIds, session * 17 + turn)}`,
});

/** Waits for the next step of an engine that gives every sequence a token each `pace` milliseconds; 0 does not wait. */
export function steps(pace: number): () => Promise<void> {
  let next: Promise<void> | null = null;
  return () => {
    if (pace === 0) return Promise.resolve();
    next ??= new Promise((resolve) =>
      setTimeout(() => {
        next = null;
        resolve();
      }, pace),
    );
    return next;
  };
}
