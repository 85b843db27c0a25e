/**
 * The thinking of a completion while it grows: what can be shown already, whatever comes next.
 *
 * Invariants:
 * 1. The pieces joined are a beginning of parseCompletion(whole text).thinking.
 * 2. They are all of it once the thinking has been closed: content comes after.
 */
import { endBeforePartial, thinkClose, thinkOpen } from '../tokens/tool-calls.ts';

export class ThinkingStream {
  #held = '';
  #state: 'unknown' | 'before' | 'inside' | 'over';

  /** `inThinking`: the prompt itself opened `<think>`. */
  constructor(inThinking: boolean) {
    this.#state = inThinking ? 'before' : 'unknown';
  }

  /** Gives the thinking that `text` makes certain, often ''. */
  push(text: string): string {
    if (this.#state === 'over') return '';
    this.#held += text;
    const lead = this.#held.trimStart();
    if (this.#state === 'unknown') {
      if (thinkOpen.startsWith(lead)) return '';
      if (!lead.startsWith(thinkOpen)) return this.#finish('');
      this.#state = 'before';
      this.#held = lead.slice(thinkOpen.length);
    }
    if (this.#state === 'before') {
      this.#held = this.#held.trimStart();
      if (this.#held === '') return '';
      this.#state = 'inside';
    }
    const close = this.#held.indexOf(thinkClose);
    if (close >= 0) return this.#finish(this.#held.slice(0, close).trimEnd());
    const certain = this.#held.slice(0, endBeforePartial(this.#held, thinkClose)).trimEnd();
    this.#held = this.#held.slice(certain.length);
    return certain;
  }

  #finish(piece: string): string {
    this.#state = 'over';
    this.#held = '';
    return piece;
  }
}
