/** `espalier inspect`: what a run recorded, from its store alone. */
import { EspalierError } from '../core/errors.ts';
import { parseRolloutId, type RolloutId } from '../core/ids.ts';
import { whole } from '../report/format.ts';
import { drawTrie } from '../report/trie-drawing.ts';
import { loadTokenizer } from '../tokens/load.ts';
import type { RunIndex } from '../trajectory/run-index.ts';
import { type RecordedTurn, turnsOf } from '../trajectory/turns.ts';
import { breaksJson, breaksOf, breaksText } from './inspect/breaks.ts';
import { rolloutJson, rolloutText } from './inspect/rollout-facts.ts';
import { rolloutTrie } from './inspect/rollout-trie.ts';
import { runText } from './inspect/run-facts.ts';
import { noSuchRollout, openRecordedRun, type RecordedRun, rolloutsUnder } from './recorded-run.ts';

export interface InspectOptions {
  /** One rollout turn by turn; with `breaks`, the rollouts whose breaks are listed. */
  readonly rollout?: string;
  readonly breaks?: boolean;
  /** A rollout whose token trie is drawn. */
  readonly trie?: string;
  readonly json: boolean;
}

/** Throws EspalierError('config') for no run, no such rollout, and views that do not go together. */
export async function inspectRun(path: string, options: InspectOptions): Promise<string> {
  if (options.trie !== undefined && (options.breaks === true || options.rollout !== undefined)) {
    throw new EspalierError('config', '--trie draws one rollout: leave --breaks and --rollout out');
  }
  await using run = await openRecordedRun(path);
  const { value, text } = await viewOf(run, options);
  return options.json ? JSON.stringify(value()) : text();
}

interface View {
  readonly value: () => unknown;
  readonly text: () => string;
}

async function viewOf(run: RecordedRun, options: InspectOptions): Promise<View> {
  if (options.trie !== undefined) return trieView(run, options.trie);
  if (options.breaks === true) {
    const under = await rolloutsUnder(run, '--rollout', options.rollout);
    const breaks = await breaksOf(run.index, under);
    const { turns } = await run.index.countRollouts(under);
    return { value: () => breaksJson(breaks), text: () => breaksText(breaks, turns) };
  }
  if (options.rollout === undefined) {
    const facts = await run.index.facts();
    const text = options.json ? '' : await runText(run.index, facts);
    return { value: () => facts, text: () => text };
  }
  const { rollout, turns, records } = await oneRollout(run, '--rollout', options.rollout);
  return { value: () => rolloutJson(records, rollout, turns), text: () => rolloutText(records, rollout, turns) };
}

async function trieView(run: RecordedRun, id: string): Promise<View> {
  const { rollout, turns } = await oneRollout(run, '--trie', id);
  const tokenizer = run.tokenizer === null ? null : await loadTokenizer(run.tokenizer);
  const trie = rolloutTrie(turns, tokenizer === null ? null : (ids) => tokenizer.decode(ids));
  return {
    value: () => ({ rollout, ...trie }),
    text: () =>
      [
        `${rollout}: ${whole(turns.length)} turns of ${whole(trie.flatTokens)} tokens, ${whole(trie.tokens)} in the trie`,
        ...(tokenizer === null ? ['no text: the run has no checkpoint with its tokenizer'] : []),
        '',
        drawTrie(trie.roots).trimEnd(),
      ].join('\n'),
  };
}

interface OneRollout {
  readonly rollout: RolloutId;
  readonly turns: readonly RecordedTurn[];
  readonly records: RunIndex;
}

async function oneRollout(run: RecordedRun, option: string, id: string): Promise<OneRollout> {
  const rollout = parseRolloutId(id);
  const records = await run.index.rollout(rollout);
  const turns = turnsOf(records.turns(rollout));
  if (turns.length === 0) throw await noSuchRollout(run, option, id);
  return { rollout, turns, records };
}
