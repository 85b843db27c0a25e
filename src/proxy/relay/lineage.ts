/**
 * The relayed turns of one session as a tree: which turn a request continues, as far as texts can tell.
 *
 * Not trajectory/conversation.ts, which owns ids and so keeps them all: here the upstream owns them, prompts are not
 * made, and memory is bounded.
 *
 * Invariant: only turns that were added are continued, so a record's parent always stands before it in the store.
 */
import type { Message } from '../../core/message.ts';
import type { ToolDefinition } from '../../core/tool.ts';
import { extendKey, type MessageBlock, messageBlocks, toolsBlock } from '../../trajectory/canonical.ts';
import type { Break, BreakCause, TurnRecord } from '../../trajectory/records.ts';

export interface Descent {
  readonly parent: number | null;
  /** Tokens of the parent's path that begin the prompt; 0 where ids are not known. */
  readonly reused: number;
  readonly messagesReused: number;
  readonly messages: readonly string[];
  readonly tools: string;
  readonly break: Break | null;
  readonly conversationKey: string;
  readonly blocks: readonly MessageBlock[];
}

interface Node {
  readonly index: number;
  /** Blocks of the request and the reply. */
  readonly blocks: readonly string[];
  readonly promptKey: string;
  readonly replyKey: string;
  readonly rootKey: string;
  /** Prompt and completion, of the newest turns that have ids. */
  path: Int32Array;
  continued: boolean;
}

const maxPaths = 64;
const noTokens = new Int32Array(0);

export class Lineage {
  readonly #maxNodes: number;
  /** Oldest first. */
  readonly #nodes: Node[] = [];
  readonly #byPrompt = new Map<string, Node>();
  readonly #byReply = new Map<string, Node>();
  /** The newest turn of each beginning: after tools and first message, and after the first message alone. */
  readonly #byRoot = new Map<string, Node>();
  readonly #byBareRoot = new Map<string, Node>();
  #last: Node | null = null;

  /** Older turns than the last `maxNodes` are forgotten; what continues one is a new root. */
  constructor(maxNodes = 4096) {
    this.#maxNodes = maxNodes;
  }

  /** `prompt`: its ids, or none. */
  descend(messages: readonly Message[], tools: readonly ToolDefinition[], prompt: Int32Array): Descent {
    const toolBlock = toolsBlock(tools);
    const blocks = messageBlocks(messages);
    const keys = prefixKeys(
      toolBlock.key,
      blocks.map(({ key }) => key),
    );
    const conversationKey = keys.at(-1) as string;
    const same = this.#byPrompt.get(conversationKey);
    const extended = this.#extended(keys);
    const parent = same ?? extended ?? this.#last;
    const messagesReused = parent === null ? 0 : commonStart(parent.blocks, blocks);
    const cause = this.#cause(keys, blocks, same, extended);
    return {
      parent: messagesReused === 0 ? null : (parent?.index ?? null),
      reused: parent === null || messagesReused === 0 ? 0 : commonIds(parent.path, prompt),
      messagesReused,
      messages: blocks.slice(messagesReused).map(({ key }) => key),
      tools: toolBlock.key,
      break: cause === null ? null : { cause, tokensLost: this.#lost(prompt) },
      conversationKey,
      blocks: [toolBlock, ...blocks],
    };
  }

  /** `prompt`: the turn's whole one, or none. */
  add(turn: TurnRecord, { blocks, conversationKey }: Descent, prompt: Int32Array): void {
    const keys = blocks.slice(1).map(({ key }) => key);
    const extended = this.#extended(prefixKeys(turn.tools, keys));
    if (extended !== null) extended.continued = true;
    const path = new Int32Array(prompt.length + turn.completion.length);
    path.set(prompt);
    path.set(turn.completion, prompt.length);
    const node: Node = {
      index: turn.index,
      blocks: [...keys, turn.reply],
      promptKey: conversationKey,
      replyKey: extendKey(conversationKey, turn.reply),
      rootKey: extendKey(turn.tools, keys[0] ?? ''),
      path,
      continued: false,
    };
    this.#last = node;
    this.#nodes.push(node);
    for (const [map, key] of this.#places(node)) map.set(key, node);
    const withPath = this.#nodes.at(-1 - maxPaths);
    if (withPath !== undefined) withPath.path = noTokens;
    if (this.#nodes.length > this.#maxNodes) this.#forget(this.#nodes.shift() as Node);
  }

  #forget(node: Node): void {
    for (const [map, key] of this.#places(node)) if (map.get(key) === node) map.delete(key);
  }

  #places(node: Node): (readonly [Map<string, Node>, string])[] {
    return [
      [this.#byPrompt, node.promptKey],
      [this.#byReply, node.replyKey],
      [this.#byRoot, node.rootKey],
      [this.#byBareRoot, node.blocks[0] ?? ''],
    ];
  }

  /** The turn whose request and reply begin the conversation, with the most messages. */
  #extended(keys: readonly string[]): Node | null {
    for (let count = keys.length - 1; count > 0; count--) {
      const node = this.#byReply.get(keys[count] as string);
      if (node !== undefined) return node;
    }
    return null;
  }

  #cause(
    keys: readonly string[],
    blocks: readonly MessageBlock[],
    same: Node | undefined,
    extended: Node | null,
  ): BreakCause | null {
    const last = this.#last;
    if (last === null) return null;
    if (same !== undefined) return 'same-prompt';
    if (extended !== null) return extended.continued ? 'fork' : null;
    if (this.#byRoot.has(keys[1] ?? '')) {
      return blocks.length < last.blocks.length - 1 ? 'history-shortened' : 'history-rewritten';
    }
    return this.#byBareRoot.has(blocks[0]?.key ?? '') ? 'tools-changed' : 'new-root';
  }

  #lost(prompt: Int32Array): number {
    const path = this.#last?.path ?? noTokens;
    return path.length - commonIds(path, prompt);
  }
}

/** Element i is the key of the tools and the first i messages. */
function prefixKeys(tools: string, blocks: readonly string[]): string[] {
  const keys = [tools];
  for (const block of blocks) keys.push(extendKey(keys.at(-1) as string, block));
  return keys;
}

function commonStart(known: readonly string[], blocks: readonly MessageBlock[]): number {
  const differs = blocks.findIndex(({ key }, i) => known[i] !== key);
  return differs < 0 ? Math.min(known.length, blocks.length) : differs;
}

function commonIds(path: Int32Array, prompt: Int32Array): number {
  const length = Math.min(path.length, prompt.length);
  for (let i = 0; i < length; i++) if (path[i] !== prompt[i]) return i;
  return length;
}
