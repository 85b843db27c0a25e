/**
 * A demonstrated conversation as token spans, in the very ids that the policy will see and sample.
 *
 * Invariant: the spans of a conversation, joined, are what the proxy would record of it: first prompt, completion with
 * its stop token, tail of what followed, completion, ...
 */
import type { Message } from '../../core/message.ts';
import type { ToolDefinition } from '../../core/tool.ts';
import type { Renderer } from '../../tokens/renderer.ts';
import type { DemonstrationSpan } from './sft.ts';

const opening: Message = { role: 'user', content: 'x' };

/** `masked` holds the indices, in `messages`, of the turns whose call was rejected. */
export function renderedSpans(
  messages: readonly Message[],
  masked: ReadonlySet<number>,
  renderer: Renderer,
  tools: readonly ToolDefinition[],
): DemonstrationSpan[] {
  const turns = messages.flatMap((message, index) => (message.role === 'assistant' ? [index] : []));
  return turns.flatMap((index, turn): DemonstrationSpan[] => {
    const before = messages.slice(turn === 0 ? 0 : (turns[turn - 1] as number) + 1, index);
    const context = turn === 0 ? renderer.prompt(before, tools) : renderer.tail(before, true);
    return [
      { kind: 'context', ids: context },
      { kind: masked.has(index) ? 'masked' : 'assistant', ids: completionIds(messages[index] as Message, renderer) },
    ];
  });
}

/** What the model would have sampled to say this message, stop token included. */
function completionIds(message: Message, renderer: Renderer): Int32Array {
  const prompt = renderer.promptText([opening], []);
  const whole = renderer.text([opening, message], []);
  if (!whole.startsWith(prompt)) throw new Error('the chat template does not begin a turn with its generation prompt');
  const ids = renderer.tokenizer.encode(whole.slice(prompt.length));
  // What a template writes behind its stop token belongs to the tail that follows.
  const stop = ids.lastIndexOf(renderer.stopIds[0] as number);
  return stop < 0 ? ids : ids.subarray(0, stop + 1);
}
