/**
 * Messages to ids: a whole conversation for its first turn, then only what is new after recorded ids.
 *
 * Not the matching of messages to recorded turns (trajectory).
 *
 * Invariants:
 * 1. prompt() and tail() end with the generation prompt: the next id is the model's.
 * 2. recorded prompt + completion + tail() is what a full render gives, up to the ids of the completion itself. Proved
 *    for a template by bridge-check.ts when a model is loaded; a template that fails is refused.
 * 3. Both are pure functions of their arguments; results are shared, so nobody writes into them.
 */
import type { Message } from '../core/message.ts';
import type { ToolDefinition } from '../core/tool.ts';
import { ChatTemplate } from './chat-template.ts';
import { cutAtStop } from './stop-strings.ts';
import type { Tokenizer } from './tokenizer.ts';
import { type ParsedCompletion, parseCompletion, thinkOpen } from './tool-calls.ts';

/** Stands for the recorded completion in a render whose tail is wanted. Letters only, so that no template alters it. */
const sentinel = 'EspalierSentinelOfTheRecordedCompletion';
const opening: Message = { role: 'user', content: 'x' };

export class Renderer {
  readonly tokenizer: Tokenizer;
  /** Sampling one of these ends the turn. The first is the one that the template writes. */
  readonly stopIds: readonly number[];
  /** True when the generation prompt itself opens `<think>`. */
  readonly opensThinking: boolean;
  readonly #template: ChatTemplate;
  readonly #cache = new RenderCache();

  /** `stopIds` must not be empty. Throws EspalierError('checkpoint') when the template does not parse. */
  constructor(tokenizer: Tokenizer, template: string, stopIds: readonly number[]) {
    this.tokenizer = tokenizer;
    this.stopIds = stopIds;
    this.#template = new ChatTemplate(template, {
      bos_token: tokenizer.namedToken('bos_token'),
      eos_token: tokenizer.namedToken('eos_token'),
    });
    this.opensThinking = this.promptText([opening], []).trimEnd().endsWith(thinkOpen);
  }

  /** The conversation as text, with the generation prompt. */
  promptText(messages: readonly Message[], tools: readonly ToolDefinition[]): string {
    return this.#template.render(messages, tools, true);
  }

  /** The conversation as text, without it: for demonstrations and reports. */
  text(messages: readonly Message[], tools: readonly ToolDefinition[]): string {
    return this.#template.render(messages, tools, false);
  }

  /** Fewer tokens than these no prompt of the messages has: known without rendering them. */
  leastTokens(messages: readonly Message[]): number {
    const units = messages.reduce((sum, message) => sum + message.content.length, 0);
    return Math.max(messages.length, this.tokenizer.leastTokens(units));
  }

  /** Ids of the whole conversation and the generation prompt. */
  prompt(messages: readonly Message[], tools: readonly ToolDefinition[]): Int32Array {
    const key = keyOf(messages, tools);
    return this.#cache.get(key) ?? this.#cache.put(key, this.tokenizer.encode(this.promptText(messages, tools)));
  }

  /** As prompt(), with long text encoded in another thread. */
  async promptAside(messages: readonly Message[], tools: readonly ToolDefinition[]): Promise<Int32Array> {
    const key = keyOf(messages, tools);
    const ids = this.#cache.get(key);
    return ids ?? this.#cache.put(key, await this.tokenizer.encodeAside(this.promptText(messages, tools)));
  }

  /**
   * Ids that follow a recorded completion: its end (when it has not sampled its stop token), the new messages, the
   * generation prompt. `stopped` says that the completion ends with one of `stopIds`.
   */
  tail(messages: readonly Message[], stopped: boolean): Int32Array {
    const key = keyOf(messages, stopped);
    return this.#cache.get(key) ?? this.#cache.put(key, this.tokenizer.encode(this.tailText(messages, stopped)));
  }

  /** As tail(), with long text encoded in another thread. */
  async tailAside(messages: readonly Message[], stopped: boolean): Promise<Int32Array> {
    const key = keyOf(messages, stopped);
    const ids = this.#cache.get(key);
    return ids ?? this.#cache.put(key, await this.tokenizer.encodeAside(this.tailText(messages, stopped)));
  }

  tailText(messages: readonly Message[], stopped: boolean): string {
    const said: Message = { role: 'assistant', content: sentinel, toolCalls: [] };
    const rendered = this.promptText([opening, said, ...messages], []);
    const tail = rendered.slice(rendered.indexOf(sentinel) + sentinel.length);
    const stop = this.tokenizer.decode(this.stopIds.slice(0, 1));
    return stopped && tail.startsWith(stop) ? tail.slice(stop.length) : tail;
  }

  /** Whether the completion ends with a stop token. */
  stopped(completion: Int32Array): boolean {
    return completion.length > 0 && this.stopIds.includes(completion[completion.length - 1] as number);
  }

  /** What a completion says before its stop token and before the first of `stops`, which `stop` names. */
  parse(completion: Int32Array, stops: readonly string[] = []): ParsedCompletion & { readonly stop: string | null } {
    const said = this.stopped(completion) ? completion.subarray(0, -1) : completion;
    const { text, stop } = cutAtStop(this.tokenizer.decode(said), stops);
    return { ...parseCompletion(text, this.opensThinking), stop };
  }
}

const longestKey = 1 << 16;

/** Null for a render that is not kept; a long one's key is not even written down. */
function keyOf(messages: readonly Message[], beside: unknown): string | null {
  if (messages.reduce((sum, { content }) => sum + content.length, 0) > longestKey) return null;
  const key = JSON.stringify([messages, beside]);
  return key.length > longestKey ? null : key;
}

/** Rollouts of a group ask for the same renders; keeps the most recent ones, up to a size. */
class RenderCache {
  static readonly #capacity = 32 << 20;
  readonly #entries = new Map<string, Int32Array>();
  #size = 0;

  get(key: string | null): Int32Array | undefined {
    if (key === null) return undefined;
    const cached = this.#entries.get(key);
    if (cached !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, cached);
    }
    return cached;
  }

  put(key: string | null, ids: Int32Array): Int32Array {
    if (key === null) return ids;
    const before = this.#entries.get(key);
    if (before !== undefined) this.#size -= sizeOf(key, before);
    this.#entries.delete(key);
    this.#entries.set(key, ids);
    this.#size += sizeOf(key, ids);
    for (const [oldest, old] of this.#entries) {
      if (this.#size <= RenderCache.#capacity) break;
      this.#entries.delete(oldest);
      this.#size -= sizeOf(oldest, old);
    }
    return ids;
  }
}

/** Bytes, about. */
const sizeOf = (key: string, ids: Int32Array): number => 2 * key.length + ids.byteLength + 100;
