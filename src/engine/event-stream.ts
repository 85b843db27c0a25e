/**
 * The events of one request, from whoever produces them to the one who iterates.
 *
 * Invariants:
 * 1. Nothing follows the `end` event; later events are dropped.
 * 2. A consumer that leaves early calls `abandon` once.
 */
import type { GenerateEvent } from './engine.ts';

export class EventStream implements AsyncIterable<GenerateEvent> {
  #events: GenerateEvent[] = [];
  #wake: (() => void) | null = null;
  #ended = false;
  #abandoned = false;
  readonly #abandon: () => void;

  /** `abandon` is called when the consumer leaves before the end. */
  constructor(abandon: () => void) {
    this.#abandon = abandon;
  }

  get abandoned(): boolean {
    return this.#abandoned;
  }

  push(event: GenerateEvent): void {
    if (this.#ended) return;
    this.#ended = event.type === 'end';
    this.#events.push(event);
    this.#wake?.();
    this.#wake = null;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<GenerateEvent, void, undefined> {
    let finished = false;
    try {
      for (;;) {
        const event = this.#events.shift();
        if (event === undefined) {
          await new Promise<void>((wake) => {
            this.#wake = wake;
          });
          continue;
        }
        finished = event.type === 'end';
        yield event;
        if (finished) return;
      }
    } finally {
      if (!finished) {
        this.#abandoned = true;
        this.#abandon();
      }
    }
  }
}
