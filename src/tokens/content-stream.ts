/**
 * The content of a completion while it grows: what can be shown already, whatever comes next.
 *
 * Invariant: the pieces joined are a beginning of parseCompletion(whole text).content.
 */
import { callOpen, endBeforePartial, thinkClose, thinkOpen } from './tool-calls.ts';

export class ContentStream {
  #held = '';
  #state: 'unknown' | 'thinking' | 'after-thinking' | 'content' | 'calls';

  constructor(inThinking: boolean) {
    this.#state = inThinking ? 'thinking' : 'unknown';
  }

  /** Gives the content that `text` makes certain, often ''. */
  push(text: string): string {
    this.#held += text;
    if (this.#state === 'unknown') {
      const lead = this.#held.trimStart();
      if (thinkOpen.startsWith(lead)) return '';
      this.#state = lead.startsWith(thinkOpen) ? 'thinking' : 'content';
    }
    if (this.#state === 'thinking') {
      const close = this.#held.indexOf(thinkClose);
      if (close < 0) return '';
      this.#held = this.#held.slice(close + thinkClose.length);
      this.#state = 'after-thinking';
    }
    if (this.#state === 'after-thinking') {
      this.#held = this.#held.trimStart();
      if (this.#held === '') return '';
      this.#state = 'content';
    }
    return this.#state === 'content' ? this.#certain() : '';
  }

  #certain(): string {
    const open = this.#held.indexOf(callOpen);
    if (open >= 0) this.#state = 'calls';
    const end = this.#held.slice(0, open >= 0 ? open : endBeforePartial(this.#held, callOpen)).trimEnd().length;
    const certain = this.#held.slice(0, end);
    this.#held = this.#held.slice(end);
    return certain;
  }
}
