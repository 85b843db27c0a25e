/**
 * What a run writes down, one type a frame kind, and their bytes.
 *
 * Not views: nothing here is computed from several records (turns.ts, samples.ts).
 *
 * Invariants:
 * 1. A turn holds only the tokens that its parent does not have, so disk grows with tokens, not with their square.
 * 2. decode(encode(record)) equals the record, floats bit for bit.
 * 3. Keys of sessions are never in a record.
 */
import { EspalierError } from '../core/errors.ts';
import type { GroupId, PolicyVersion, RolloutId, TaskId } from '../core/ids.ts';
import type { Outcome } from '../core/outcome.ts';
import type { SessionFacts } from '../core/session.ts';
import type { Truncation } from '../core/truncation.ts';
import type { Fidelity, FinishReason } from '../core/turn.ts';
import type { Verdict } from '../core/verdict.ts';
import type { FrameKind } from '../store/frame.ts';
import { decodePayload, encodePayload, type Payload } from '../store/payload.ts';

export interface SessionRecord {
  readonly type: 'session';
  readonly rollout: RolloutId;
  /** Temperature, tokens a turn and seed are null where a foreign upstream samples. */
  readonly temperature: number | null;
  readonly maxTokensPerTurn: number | null;
  /** Only where the session's sampling keeps not every token. */
  readonly truncation?: Truncation;
  /** `request`: each turn says how it was sampled. Not given: `session`. */
  readonly samplingBy?: 'session' | 'request';
  /** Decimal: turn t, attempt a samples from seedOf(seed, t, a). */
  readonly seed: string | null;
  readonly trainable: boolean;
}

/** A message or a list of tools, content-addressed (canonical.ts). */
export interface MessageRecord {
  readonly type: 'message';
  readonly key: string;
  readonly body: string;
}

/** Why a turn continues no earlier one, or not the last one. */
export type BreakCause =
  /** The same prompt again: a deliberate second sample, or a retry whose first attempt was never recorded. */
  | 'same-prompt'
  /** Continues an earlier turn that another turn continues already; or its prompt, without its reply. */
  | 'fork'
  /** An earlier reply or message came back changed. */
  | 'history-rewritten'
  /** The conversation came back shorter: compaction, or a step back. */
  | 'history-shortened'
  /** The same messages under other tools. */
  | 'tools-changed'
  /** Another first message: a sub-agent, a title, any side request. */
  | 'new-root';

export interface Break {
  readonly cause: BreakCause;
  /** Tokens of the session's last turn that the new prompt does not continue. */
  readonly tokensLost: number;
}

export interface TurnRecord {
  readonly type: 'turn';
  readonly rollout: RolloutId;
  /** 0, 1, ... in a rollout; also the number that seeds it. */
  readonly index: number;
  readonly attempt: number;
  /** Index of the turn whose first `reused` tokens (prompt and completion) begin this prompt, or null. */
  readonly parent: number | null;
  readonly reused: number;
  /** The prompt after the reused tokens. */
  readonly tail: Int32Array;
  /** As in core/turn.ts, aligned with each other. */
  readonly completion: Int32Array;
  readonly behaviorLogprobs: Float32Array;
  readonly entropies: Float32Array;
  readonly versions: Int32Array;
  readonly finishReason: FinishReason;
  readonly truncatedBy: 'tokens' | 'context' | null;
  readonly fidelity: Fidelity;
  readonly toolCallCount: number;
  readonly retokenizedSampledTokens: number;
  readonly break: Break | null;
  /** Canonical key of tools, messages and limits: an equal request has an equal key. */
  readonly requestKey: string;
  /** Key of the tools' block. */
  readonly tools: string;
  /** Blocks of the request: the first `messagesReused` of the parent's (its reply included), then these. */
  readonly messagesReused: number;
  readonly messages: readonly string[];
  /** Block of the reply. */
  readonly reply: string;
  /** What the request asked for, honored or not. */
  readonly wishes: Readonly<Record<string, unknown>>;
  /** Only where the session leaves sampling to requests. The request's seed is decimal, or null: the session's. */
  readonly sampling?: Truncation & { readonly temperature: number; readonly seed: string | null };
  /** Only in a turn that a foreign upstream answered. */
  readonly relay?: RelayFacts;
}

/**
 * A turn of a foreign upstream. `observed` when the upstream told its ids and log-probabilities, which are then the
 * turn's: entropies are NaN and versions -1, as nobody told them. `text` else, without any token.
 */
export interface RelayFacts {
  /** E.g. `/v1/chat/completions`. */
  readonly path: string;
  /** As the upstream names it, else as it was asked for. */
  readonly model: string;
  /** Tokens as the upstream counts them, or null. */
  readonly usage: { readonly promptTokens: number; readonly completionTokens: number } | null;
  /** Thinking that came beside the reply, or ''. */
  readonly thinking: string;
}

export interface OutcomeRecord {
  readonly type: 'outcome';
  readonly rollout: RolloutId;
  readonly outcome: Outcome;
  /** Facts of the finished rollout, so that a resumed run need not work it again. */
  readonly task: TaskId;
  readonly facts: SessionFacts | null;
  readonly attempts: number;
  readonly seconds: number;
  /** What whoever launched the agent says that it earned; a rollout of ours has it in its verdict. */
  readonly reward?: number;
}

export interface VerdictRecord {
  readonly type: 'verdict';
  readonly rollout: RolloutId;
  readonly verdict: Verdict;
  readonly reward: number;
}

export interface ManifestGroup {
  readonly group: GroupId;
  /** Place of the task in its taskset. */
  readonly task: number;
  readonly rollouts: readonly RolloutId[];
  /** Aligned with `rollouts`. */
  readonly rewards: readonly number[];
}

/** What one optimizer step learns from; durable before the step is made. */
export interface ManifestRecord {
  readonly type: 'manifest';
  readonly step: number;
  /** The version that the step updates. */
  readonly version: PolicyVersion;
  readonly groups: readonly ManifestGroup[];
  /** JSON of the run's own. */
  readonly details: Readonly<Record<string, unknown>>;
}

export interface VersionRecord {
  readonly type: 'version';
  readonly version: PolicyVersion;
  /** Null where a server of someone else's has the weights. */
  readonly sha256: string | null;
  /** Relative to the run directory, or null when the weights were not saved. */
  readonly checkpoint: string | null;
}

/** Stands where records were removed: as many as went for each reason. Written by the store itself. */
export interface RemovedRecord {
  readonly type: 'removed';
  readonly erased: number;
  readonly retention: number;
}

export interface NoteRecord {
  readonly type: 'note';
  readonly note: Readonly<Record<string, unknown>>;
}

export type RunRecord =
  | SessionRecord
  | MessageRecord
  | TurnRecord
  | OutcomeRecord
  | VerdictRecord
  | ManifestRecord
  | VersionRecord
  | NoteRecord
  | RemovedRecord;

const kinds = {
  session: 'session',
  message: 'messageBlock',
  turn: 'turn',
  outcome: 'outcome',
  verdict: 'verdict',
  manifest: 'batchManifest',
  version: 'version',
  note: 'note',
  removed: 'removed',
} as const satisfies Record<RunRecord['type'], FrameKind>;

const types = new Map(
  Object.entries(kinds).map(([type, kind]): [FrameKind, RunRecord['type']] => [kind, type as RunRecord['type']]),
);

export const recordTypeOf = (kind: FrameKind): RunRecord['type'] => types.get(kind) as RunRecord['type'];

export function encodeRecord(record: RunRecord): { readonly kind: FrameKind; readonly payload: Uint8Array } {
  const kind = kinds[record.type];
  if (record.type === 'turn') return { kind, payload: encodePayload(turnPayload(record)) };
  const { type: _, ...fields } = record;
  return { kind, payload: encodePayload({ fields, arrays: {} }) };
}

/** Copies out of `payload`. Throws EspalierError('store') when it is malformed. */
export function decodeRecord(kind: FrameKind, payload: Uint8Array): RunRecord {
  const decoded = decodePayload(payload);
  const type = recordTypeOf(kind);
  if (type === 'turn') return turnOf(decoded);
  // The checksum held and only encodeRecord writes these frames.
  return { type, ...decoded.fields } as RunRecord;
}

function turnPayload(turn: TurnRecord): Payload {
  const { type: _, tail, completion, behaviorLogprobs, entropies, versions, ...fields } = turn;
  return {
    fields: { ...fields, versions: runLengths(versions) },
    arrays: { tail, completion, behaviorLogprobs, entropies },
  };
}

function turnOf({ fields, arrays }: Payload): TurnRecord {
  const { tail, completion, behaviorLogprobs, entropies } = arrays;
  const floats = behaviorLogprobs instanceof Float32Array && entropies instanceof Float32Array;
  if (!(tail instanceof Int32Array) || !(completion instanceof Int32Array) || !floats) {
    throw new EspalierError('store', 'a turn record lacks its arrays');
  }
  const { versions, ...rest } = fields as unknown as Omit<TurnRecord, 'versions'> & { versions: [number, number][] };
  return {
    ...rest,
    type: 'turn',
    tail,
    completion,
    behaviorLogprobs,
    entropies,
    versions: fromRunLengths(versions, completion.length),
  };
}

/** Weights change rarely within a turn: [count, version] pairs. */
function runLengths(values: Int32Array): [number, number][] {
  const runs: [number, number][] = [];
  for (const value of values) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] === value) last[0]++;
    else runs.push([1, value]);
  }
  return runs;
}

function fromRunLengths(runs: readonly (readonly [number, number])[], length: number): Int32Array {
  const values = new Int32Array(length);
  let at = 0;
  for (const [count, value] of runs) {
    values.fill(value, at, at + count);
    at += count;
  }
  return values;
}
