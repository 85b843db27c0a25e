/** Conversations as demonstrations: in a model's own ids, with what is learned of them, for the supervised stage. */
import { EspalierError, messageOf } from '../../core/errors.ts';
import { renderedSpans } from '../../learn/stages/rendered.ts';
import { type Demonstration, type DemonstrationSpan, demonstrationOf } from '../../learn/stages/sft.ts';
import type { Renderer } from '../../tokens/renderer.ts';
import type { Conversation } from './conversation.ts';

/**
 * What follows the last reply is left out: nothing that the model says comes after it. `contextWeight` is that of
 * everything that is neither a reply nor marked as not learned (sft.ts has a default).
 *
 * Throws EspalierError('checkpoint') when the model's chat template refuses the conversation.
 */
export function demonstrationFrom(
  conversation: Conversation,
  renderer: Renderer,
  contextWeight?: number,
): Demonstration {
  return demonstrationOf(spansOf(conversation, renderer), contextWeight);
}

function spansOf({ messages, tools, unlearned }: Conversation, renderer: Renderer): DemonstrationSpan[] {
  const replies = messages.flatMap(({ role }, at) => (role === 'assistant' ? [at] : []));
  const spans = rendered(messages, unlearned, renderer, tools);
  // Two spans a reply: what came before it, and itself.
  return spans.map((span, i): DemonstrationSpan => {
    if (span.kind !== 'context') return span;
    const turn = i / 2;
    const first = turn === 0 ? 0 : (replies[turn - 1] as number) + 1;
    const before = Array.from({ length: (replies[turn] as number) - first }, (_, at) => first + at);
    const learned = before.length === 0 || before.some((at) => !unlearned.has(at));
    return learned ? span : { ...span, kind: 'masked' };
  });
}

function rendered(...given: Parameters<typeof renderedSpans>): DemonstrationSpan[] {
  try {
    return renderedSpans(...given);
  } catch (cause) {
    throw new EspalierError('checkpoint', `the model cannot read the conversation: ${messageOf(cause)}`, { cause });
  }
}
