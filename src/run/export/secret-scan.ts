/**
 * Where in a rollout a secret stands, and which of its turns would give it away by their ids.
 *
 * Looked at: messages, replies, tools, thinking and outcomes as they were recorded, and the text of the turns' own ids.
 *
 * Invariants:
 * 1. A hit names rollout, turn and kind, never the secret.
 * 2. A turn without taint has no secret of a known form in any token of its prompt or completion.
 */
import { EspalierError } from '../../core/errors.ts';
import type { RolloutId } from '../../core/ids.ts';
import type { TurnRecord } from '../../trajectory/records.ts';
import type { RunIndex } from '../../trajectory/run-index.ts';
import { conversationsOf } from '../../trajectory/transcript.ts';
import { joined, pathOf, turnsOf } from '../../trajectory/turns.ts';
import { secretsIn, secretsInValue } from './secrets.ts';

export interface SecretHit {
  readonly rollout: RolloutId;
  /** The turn that brought it, or null: it stands in the rollout's outcome. */
  readonly turn: number | null;
  readonly kind: string;
}

export interface RolloutScan {
  readonly hits: readonly SecretHit[];
  /** Indexes of turns whose ids may not leave. */
  readonly tainted: ReadonlySet<number>;
}

const rememberedBlocks = 10_000;

export class SecretScanner {
  readonly #decode: ((ids: Int32Array) => string) | null;
  /** Kinds by block: system prompts and tools are scanned once, not once a rollout. */
  readonly #kinds = new Map<string, readonly string[]>();

  /** `decode` is null where the run has no tokenizer: then ids are judged by their messages alone. */
  constructor(decode: ((ids: Int32Array) => string) | null) {
    this.#decode = decode;
  }

  /** `index`: the rollout's records, with bodies. */
  scan(index: RunIndex, rollout: RolloutId): RolloutScan {
    if (this.#kinds.size > rememberedBlocks) this.#kinds.clear();
    const turns = index.turns(rollout);
    const conversations = conversationsOf(turns);
    const tainted = new Set<number>();
    const hits: SecretHit[] = [];
    const tools = new Set<string>();
    for (const turn of turns) {
      const own = this.#ownKinds(index, turn, tools.has(turn.tools) ? [] : [turn.tools]);
      tools.add(turn.tools);
      hits.push(...own.map((kind): SecretHit => ({ rollout, turn: turn.index, kind })));
      const blocks = [turn.tools, ...(conversations.get(turn.index) ?? [])];
      const told = own.length > 0 || blocks.some((key) => this.#kindsOf(index, key).length > 0);
      // A turn may take up tokens before the secret, or behind which another branch has it.
      const mayInherit = turn.parent !== null && tainted.has(turn.parent);
      if (told || (mayInherit && !this.#isClean(turn, turns))) tainted.add(turn.index);
    }
    const ended = secretsInValue([index.outcomes.get(rollout), index.verdicts.get(rollout)]);
    hits.push(...ended.map((kind): SecretHit => ({ rollout, turn: null, kind })));
    return { hits, tainted };
  }

  /** Of what the turn brought: tools that the rollout had not before, new messages, the reply, the new ids. */
  #ownKinds(index: RunIndex, turn: TurnRecord, newTools: readonly string[]): string[] {
    const kinds = new Set<string>();
    for (const key of [...newTools, ...turn.messages, turn.reply])
      for (const kind of this.#kindsOf(index, key)) kinds.add(kind);
    for (const kind of secretsInValue(turn.relay)) kinds.add(kind);
    if (this.#decode !== null) {
      for (const kind of secretsIn(this.#decode(joined(turn.tail, turn.completion)))) kinds.add(kind);
    }
    return [...kinds];
  }

  /** By the text of its whole path. */
  #isClean({ index }: TurnRecord, turns: readonly TurnRecord[]): boolean {
    const turn = turnsOf(turns).find((one) => one.index === index);
    return turn !== undefined && this.#decode !== null && secretsIn(this.#decode(pathOf(turn))).length === 0;
  }

  #kindsOf(index: RunIndex, block: string): readonly string[] {
    const known = this.#kinds.get(block);
    if (known !== undefined) return known;
    const kinds = secretsInValue(JSON.parse(index.messageBody(block) ?? 'null'));
    this.#kinds.set(block, kinds);
    return kinds;
  }
}

const namedHits = 5;

/** One line: where, of which kind, and the way out. */
export function secretsError(hits: readonly SecretHit[]): EspalierError {
  const places = hits.slice(0, namedHits).map(({ rollout, turn, kind }) => {
    return `${rollout} ${turn === null ? 'in its outcome' : `turn ${turn}`}: ${kind}`;
  });
  const more = hits.length > namedHits ? `; and ${hits.length - namedHits} more` : '';
  return new EspalierError(
    'config',
    `nothing was exported, since it holds what looks like a secret: ${places.join('; ')}${more}. ` +
      '--redact replaces the text and leaves out the ids of what holds it',
  );
}
