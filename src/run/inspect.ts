/** `espalier inspect`: what a run recorded, from its store alone. */
import { EspalierError } from '../core/errors.ts';
import { parseRolloutId, type RolloutId } from '../core/ids.ts';
import { whole } from '../report/format.ts';
import { drawTrie } from '../report/trie-drawing.ts';
import { loadTokenizer } from '../tokens/load.ts';
import { type RecordedTurn, turnsOf } from '../trajectory/turns.ts';
import { breaksJson, breaksOf, breaksText } from './inspect/breaks.ts';
import { rolloutJson, rolloutText } from './inspect/rollout-facts.ts';
import { rolloutTrie } from './inspect/rollout-trie.ts';
import { runFacts, runText } from './inspect/run-facts.ts';
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
  const run = await openRecordedRun(path);
  const { value, text } = await viewOf(run, options);
  return options.json ? JSON.stringify(value()) : text();
}

interface View {
  readonly value: () => unknown;
  readonly text: () => string;
}

async function viewOf(run: RecordedRun, options: InspectOptions): Promise<View> {
  const { index } = run;
  if (options.trie !== undefined) return trieView(run, options.trie);
  if (options.breaks === true) {
    const rollouts = rolloutsUnder(run, '--rollout', options.rollout);
    const breaks = breaksOf(index, rollouts);
    const turns = rollouts.reduce((sum, rollout) => sum + index.turns(rollout).length, 0);
    return { value: () => breaksJson(breaks), text: () => breaksText(breaks, turns) };
  }
  if (options.rollout === undefined) return { value: () => runFacts(index), text: () => runText(index) };
  const { rollout, turns } = oneRollout(run, '--rollout', options.rollout);
  return { value: () => rolloutJson(index, rollout, turns), text: () => rolloutText(index, rollout, turns) };
}

async function trieView(run: RecordedRun, id: string): Promise<View> {
  const { rollout, turns } = oneRollout(run, '--trie', id);
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

function oneRollout(
  run: RecordedRun,
  option: string,
  id: string,
): { readonly rollout: RolloutId; readonly turns: readonly RecordedTurn[] } {
  const rollout = parseRolloutId(id);
  const turns = turnsOf(run.index.turns(rollout));
  if (turns.length === 0) throw noSuchRollout(run, option, id);
  return { rollout, turns };
}
