/**
 * The dialect of `POST /v1/responses`: a completion to events.
 *
 * Invariants:
 * 1. Every event has the next `sequence_number`; items are opened and closed one after another, in the order of the JSON
 *    reply, and the last event carries the whole of it.
 * 2. `response.completed` or `response.incomplete` comes last, and only from end().
 */
import type { Completion, ReplyHead, ReplyStream } from './dialect.ts';
import type { Refusal } from './refusal.ts';
import {
  callItemValue,
  itemIds,
  messageItem,
  outputItems,
  reasoningItem,
  responseValue,
  summaryPart,
  textPart,
} from './responses-reply.ts';
import type { OfferedTools } from './responses-tools.ts';
import { sseEvent, sseKeepAlive } from './sse.ts';

type Value = Readonly<Record<string, unknown>>;

export class ResponsesStream implements ReplyStream {
  readonly #head: ReplyHead;
  readonly #echo: Value;
  readonly #names: OfferedTools['names'];
  readonly #onEnd: (completion: Completion) => void;
  #sequence = 0;
  #outputIndex = 0;
  #open: 'none' | 'reasoning' | 'message' = 'none';
  #thinking = '';
  #content = '';

  /** `onEnd` is told of the completion before its last event is given. */
  constructor(head: ReplyHead, echo: Value, names: OfferedTools['names'], onEnd: (completion: Completion) => void) {
    this.#head = head;
    this.#echo = echo;
    this.#names = names;
    this.#onEnd = onEnd;
  }

  /** Whatever is asked for first gives the opening with it, so the numbers are in the order of the events. */
  begin(): string {
    if (this.#sequence > 0) return '';
    const response = responseValue(this.#head, this.#echo, { status: 'in_progress' });
    return this.#event('response.created', { response }) + this.#event('response.in_progress', { response });
  }

  thinking(piece: string): string {
    this.#thinking += piece;
    return (
      this.begin() + this.#openReasoning() + this.#partEvent('response.reasoning_summary_text.delta', { delta: piece })
    );
  }

  text(piece: string): string {
    this.#content += piece;
    return (
      this.begin() + this.#openMessage() + this.#partEvent('response.output_text.delta', { delta: piece, logprobs: [] })
    );
  }

  end(reply: Completion): string {
    const output = outputItems(this.#head, this.#names, reply);
    let events = this.begin();
    const thinking = reply.thinking.slice(this.#thinking.length);
    if (this.#open !== 'message' && thinking !== '') events += this.thinking(thinking);
    const content = reply.content.slice(this.#content.length);
    if (content !== '') events += this.text(content);
    else if (reply.content === '' && reply.toolCalls.length === 0) events += this.#openMessage();
    events += this.#close(output);
    for (const [place] of reply.toolCalls.entries()) events += this.#call(reply, place, output);
    this.#onEnd(reply);
    const response = responseValue(this.#head, this.#echo, { status: 'ended', completion: reply, output });
    return events + this.#event(`response.${response['status']}`, { response });
  }

  failure(refusal: Refusal): string {
    const { code, message, param, type } = refusal;
    const response = responseValue(this.#head, this.#echo, { status: 'failed', refusal });
    return this.#event('error', { code: code ?? type, message, param }) + this.#event('response.failed', { response });
  }

  keepAlive(): string {
    return sseKeepAlive;
  }

  #openReasoning(): string {
    if (this.#open === 'reasoning') return '';
    this.#open = 'reasoning';
    return (
      this.#itemEvent('added', reasoningItem(this.#head, null)) +
      this.#partEvent('response.reasoning_summary_part.added', { part: summaryPart('') })
    );
  }

  #openMessage(): string {
    if (this.#open === 'message') return '';
    const before = this.#close([]);
    this.#open = 'message';
    return (
      before +
      this.#itemEvent('added', messageItem(this.#head, null, 'in_progress')) +
      this.#partEvent('response.content_part.added', { part: textPart('') })
    );
  }

  /** `output` is needed for the status of a message, which comes last or before calls. */
  #close(output: readonly Value[]): string {
    let events = '';
    if (this.#open === 'reasoning') {
      const text = this.#thinking;
      events =
        this.#partEvent('response.reasoning_summary_text.done', { text }) +
        this.#partEvent('response.reasoning_summary_part.done', { part: summaryPart(text) }) +
        this.#itemEvent('done', reasoningItem(this.#head, text));
    } else if (this.#open === 'message') {
      const text = this.#content;
      events =
        this.#partEvent('response.output_text.done', { text, logprobs: [] }) +
        this.#partEvent('response.content_part.done', { part: textPart(text) }) +
        this.#itemEvent('done', output.find((item) => item['type'] === 'message') as Value);
    }
    if (this.#open !== 'none') this.#outputIndex++;
    this.#open = 'none';
    return events;
  }

  #call(reply: Completion, place: number, output: readonly Value[]): string {
    const call = reply.toolCalls[place] as Completion['toolCalls'][number];
    const item = output[output.length - reply.toolCalls.length + place] as Value;
    const opened = callItemValue(this.#head, this.#names, call, place, 'in_progress');
    const at = { item_id: item['id'], output_index: this.#outputIndex };
    const isCustom = item['type'] === 'custom_tool_call';
    const [kind, field] = isCustom ? ['custom_tool_call_input', 'input'] : ['function_call_arguments', 'arguments'];
    const said = item[field as string];
    const whole = { ...at, ...(!isCustom && { name: item['name'] }), [field as string]: said };
    let events = this.#itemEvent('added', { ...opened, [field as string]: '' });
    if (said !== '') events += this.#event(`response.${kind}.delta`, { ...at, delta: said });
    events += this.#event(`response.${kind}.done`, whole) + this.#itemEvent('done', item);
    this.#outputIndex++;
    return events;
  }

  #itemEvent(what: 'added' | 'done', item: Value): string {
    return this.#event(`response.output_item.${what}`, { output_index: this.#outputIndex, item });
  }

  /** Of the one part of the open item. */
  #partEvent(type: string, fields: Value): string {
    const at =
      this.#open === 'reasoning'
        ? { item_id: itemIds.reasoning(this.#head), output_index: this.#outputIndex, summary_index: 0 }
        : { item_id: itemIds.message(this.#head), output_index: this.#outputIndex, content_index: 0 };
    return this.#event(type, { ...at, ...fields });
  }

  #event(type: string, fields: Value): string {
    return `event: ${type}\n${sseEvent({ type, sequence_number: this.#sequence++, ...fields })}`;
  }
}
