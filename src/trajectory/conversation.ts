/**
 * The recorded turns of one session as a tree, and the prompt that the next request gets from it.
 *
 * Not storage and not sampling: prepare() and add() only compute.
 *
 * Invariants:
 * 1. The longest recorded prefix of a request, message by message in canonical form, keeps its recorded ids; only what
 *    follows is rendered.
 * 2. A reply that was sampled here keeps its ids wherever an agent puts it: behind other tools, behind a summary. It is
 *    tokenized again only when it came back changed, and then its tokens are counted.
 * 3. Equal turns and an equal request give an equal prompt, whether the turns were just sampled or read from a store.
 */
import type { Message } from '../core/message.ts';
import type { ToolDefinition } from '../core/tool.ts';
import type { Renderer } from '../tokens/renderer.ts';
import { commonPrefix } from '../trie/common-prefix.ts';
import { extendKey, type MessageBlock, messageBlocks, toolsBlock } from './canonical.ts';
import { GrowingIds } from './growing-ids.ts';
import type { Break, BreakCause, TurnRecord } from './records.ts';
import { joined, parentMissing } from './turns.ts';

/** A request with its prompt, ready to be sampled. */
export interface PreparedTurn {
  readonly prompt: Int32Array;
  readonly parent: number | null;
  readonly reused: number;
  readonly tools: string;
  readonly messagesReused: number;
  readonly messages: readonly string[];
  readonly retokenizedSampledTokens: number;
  readonly break: Break | null;
  /** Key of tools and messages. */
  readonly conversationKey: string;
  /** What the record must hold beside the turn. */
  readonly blocks: readonly MessageBlock[];
}

interface Node {
  readonly record: TurnRecord;
  /** Prompt and completion. */
  readonly grown: GrowingIds;
  readonly path: Int32Array;
  /** Blocks of the request and the reply. */
  readonly blocks: readonly string[];
  /** Keys of the conversation's beginnings: of the whole prompt, and with the reply. */
  readonly promptKey: string;
  readonly replyKey: string;
  continued: boolean;
}

/** A request: its messages, their blocks, and the keys of its beginnings. */
interface Asked {
  readonly messages: readonly Message[];
  readonly blocks: readonly MessageBlock[];
  readonly keys: readonly string[];
}

export class Conversation {
  readonly #renderer: Renderer;
  readonly #nodes = new Map<number, Node>();
  readonly #byPrompt = new Map<string, Node>();
  readonly #byReply = new Map<string, Node>();
  /** By the block of the reply alone, in order. */
  readonly #saying = new Map<string, Node[]>();
  /** First key after tools and first message, of every turn; and the same without tools. */
  readonly #roots = new Set<string>();
  readonly #bareRoots = new Set<string>();
  #last: Node | null = null;

  /** `records`: the session's recorded turns, in the order of the store. */
  constructor(renderer: Renderer, records: readonly TurnRecord[]) {
    this.#renderer = renderer;
    for (const record of records) this.add(record);
  }

  /** Throws EspalierError('checkpoint') when the chat template refuses the conversation. */
  prepare(messages: readonly Message[], tools: readonly ToolDefinition[]): PreparedTurn {
    const plan = this.#plan(messages, tools);
    const ids = plan.parts.map((part) => {
      if (part instanceof Int32Array) return part;
      const { said, stopped } = part;
      return stopped === null ? this.#renderer.prompt(said, tools) : this.#renderer.tail(said, stopped);
    });
    return prepared(plan, joined(...ids));
  }

  /** The same, with long text encoded in another thread: what becomes of it is as if it had been done at once. */
  async prepareAside(messages: readonly Message[], tools: readonly ToolDefinition[]): Promise<PreparedTurn> {
    const plan = this.#plan(messages, tools);
    const ids = plan.parts.map((part) => {
      if (part instanceof Int32Array) return part;
      const { said, stopped } = part;
      return stopped === null ? this.#renderer.promptAside(said, tools) : this.#renderer.tailAside(said, stopped);
    });
    return prepared(plan, joined(...(await Promise.all(ids))));
  }

  #plan(messages: readonly Message[], tools: readonly ToolDefinition[]): Plan {
    const toolBlock = toolsBlock(tools);
    const blocks = messageBlocks(messages);
    const keys = prefixKeys(toolBlock.key, blocks);
    const same = this.#byPrompt.get(keys[messages.length] as string) ?? null;
    const match = same === null ? this.#longest(keys) : { node: same, count: messages.length };
    const { node, count } = match ?? { node: null, count: 0 };
    const { parts, retokenized } =
      same === null
        ? this.#rendered(messages, blocks, node, count)
        : { parts: [same.path.subarray(0, same.path.length - same.record.completion.length)], retokenized: 0 };
    const last = this.#last;
    return {
      ...{ toolBlock, blocks, keys, parts, retokenized, last },
      parent: node ?? last,
      cause: last === null ? null : this.#cause({ keys, blocks, messages }, same, node, count, last),
    };
  }

  /** Makes a recorded turn one that later requests may continue. Throws EspalierError('store') without its parent. */
  add(record: TurnRecord): void {
    const parent = record.parent === null ? null : (this.#nodes.get(record.parent) ?? null);
    if (record.parent !== null && !(parent !== null && parent.path.length >= record.reused))
      throw parentMissing(record);
    const inherited = parent === null ? [] : parent.blocks.slice(0, record.messagesReused);
    const request = [...inherited, ...record.messages];
    const promptKey = request.reduce(extendKey, record.tools);
    const { reused, tail, completion } = record;
    const path = parent === null ? GrowingIds.of(tail, completion) : parent.grown.continued(reused, tail, completion);
    const node: Node = {
      record,
      grown: path,
      path: path.ids,
      blocks: [...request, record.reply],
      promptKey,
      replyKey: extendKey(promptKey, record.reply),
      continued: false,
    };
    if (parent !== null && record.reused === parent.path.length) parent.continued = true;
    this.#nodes.set(record.index, node);
    this.#byPrompt.set(node.promptKey, node);
    this.#byReply.set(node.replyKey, node);
    const saying = this.#saying.get(record.reply);
    if (saying === undefined) this.#saying.set(record.reply, [node]);
    else saying.push(node);
    this.#roots.add(extendKey(record.tools, request[0] ?? ''));
    this.#bareRoots.add(request[0] ?? '');
    this.#last = node;
  }

  /** The recorded turn whose request and reply begin the conversation, with the most messages. */
  #longest(keys: readonly string[]): { node: Node; count: number } | null {
    for (let count = keys.length - 1; count > 0; count--) {
      const node = this.#byReply.get(keys[count] as string);
      if (node !== undefined) return { node, count };
    }
    return null;
  }

  /**
   * Recorded ids of what `node` covers, the first `count` messages; then text, and replies that were sampled here as they
   * were. Each piece of text ends where the model speaks, so that a reply stands as it does behind its own prompt.
   */
  #rendered(
    messages: readonly Message[],
    blocks: readonly MessageBlock[],
    node: Node | null,
    count: number,
  ): Pick<Plan, 'parts' | 'retokenized'> {
    const parts: Part[] = node === null ? [] : [node.path];
    let [before, from, retokenized] = [node, count, 0];
    const text = (to: number): Part => ({
      said: messages.slice(from, to),
      stopped: before === null ? null : this.#renderer.stopped(before.record.completion),
    });
    for (let i = count; i < messages.length; i++) {
      if (messages[i]?.role !== 'assistant') continue;
      const reply = this.#said((blocks[i] as MessageBlock).key, before);
      if (reply !== null && i > from) {
        parts.push(text(i), reply.record.completion);
        [before, from] = [reply, i + 1];
      } else retokenized += (reply ?? this.#answerTo(blocks.slice(0, i)))?.record.completion.length ?? 0;
    }
    return { parts: [...parts, text(messages.length)], retokenized };
  }

  /** The turn that was sampled behind these messages, under whatever tools: what stands there now is not its reply. */
  #answerTo(messages: readonly MessageBlock[]): Node | null {
    for (const node of this.#nodes.values()) {
      const isIt = node.blocks.length === messages.length + 1 && messages.every(({ key }, i) => node.blocks[i] === key);
      if (isIt) return node;
    }
    return null;
  }

  /** A turn with this reply: of several, the next one after `before`. */
  #said(block: string, before: Node | null): Node | null {
    const saying = this.#saying.get(block);
    if (saying === undefined) return null;
    const after = before === null ? -1 : before.record.index;
    return saying.find(({ record }) => record.index > after) ?? (saying.at(-1) as Node);
  }

  #cause(
    { keys, blocks, messages }: Asked,
    same: Node | null,
    node: Node | null,
    count: number,
    last: Node,
  ): BreakCause | null {
    if (same !== null) return 'same-prompt';
    const rewritten = messages.length < last.blocks.length - 1 ? 'history-shortened' : 'history-rewritten';
    // Prompts of ours that go on otherwise: with another reply in place of the sampled one, or without a reply.
    const others = messages.filter((_, i) => i >= count && this.#byPrompt.has(keys[i] as string));
    if (others.some(({ role }) => role === 'assistant')) return rewritten;
    if (node !== null) return node.continued ? 'fork' : null;
    if (others.length > 0) return 'fork';
    if (this.#roots.has(keys[1] as string)) return rewritten;
    return this.#bareRoots.has(blocks[0]?.key ?? '') ? 'tools-changed' : 'new-root';
  }
}

/** Ids that are known, or text that is rendered: a whole prompt where `stopped` is null, else what follows a reply. */
type Part = Int32Array | { readonly said: readonly Message[]; readonly stopped: boolean | null };

/** All of a prompt but the ids of its text. */
interface Plan {
  readonly toolBlock: MessageBlock;
  readonly blocks: readonly MessageBlock[];
  readonly keys: readonly string[];
  readonly parts: readonly Part[];
  readonly retokenized: number;
  readonly parent: Node | null;
  readonly last: Node | null;
  readonly cause: BreakCause | null;
}

/** `prompt` must be a copy: a sampler may hand it over to another thread, and paths are shared. */
function prepared(
  { toolBlock, blocks, keys, retokenized, parent, last, cause }: Plan,
  prompt: Int32Array,
): PreparedTurn {
  const reused = parent === null ? 0 : sharedTokens(parent.path, prompt);
  const messagesReused = parent === null || reused === 0 ? 0 : commonBlocks(parent.blocks, blocks);
  return {
    prompt,
    parent: parent === null || reused === 0 ? null : parent.record.index,
    reused,
    tools: toolBlock.key,
    messagesReused,
    messages: blocks.slice(messagesReused).map((block) => block.key),
    retokenizedSampledTokens: retokenized,
    break:
      cause === null || last === null
        ? null
        : { cause, tokensLost: last.path.length - sharedTokens(last.path, prompt) },
    conversationKey: keys.at(-1) as string,
    blocks: [toolBlock, ...blocks],
  };
}

/** Element i is the key of the tools and the first i messages. */
function prefixKeys(tools: string, blocks: readonly MessageBlock[]): string[] {
  const keys = [tools];
  for (const block of blocks) keys.push(extendKey(keys.at(-1) as string, block.key));
  return keys;
}

function sharedTokens(a: Int32Array, b: Int32Array): number {
  return commonPrefix(a, 0, b, 0, Math.min(a.length, b.length));
}

function commonBlocks(known: readonly string[], blocks: readonly MessageBlock[]): number {
  const length = Math.min(known.length, blocks.length);
  for (let i = 0; i < length; i++) if (known[i] !== blocks[i]?.key) return i;
  return length;
}
