/** Tables of `espalier inspect --breaks`: what each cause cost, and every break. */
import { whole } from './format.ts';
import { alignedTable, type TableColumn } from './table.ts';

/** One turn that does not continue its session's last one. */
export interface BreakFacts {
  readonly rollout: string;
  readonly turn: number;
  readonly cause: string;
  /** Tokens of the session's last turn that the prompt does not continue. */
  readonly tokensLost: number;
  /** Tokens that the prompt has from an earlier turn, as they were recorded. */
  readonly reusedTokens: number;
  /** Sampled tokens whose text had to be tokenized again. */
  readonly retokenizedSampledTokens: number;
  readonly done: BreakAnswer;
}

/**
 * What was done about a break. `exact`: the messages differ, the ids go on all the same. `forked`: the prompt leaves the
 * trie at a recorded token, and what follows was rendered. `repaired`: among that is sampled text, tokenized again.
 * `rendered`: no message is an earlier turn's, so the prompt begins a root of its own. `none`: the turn has no ids.
 */
export type BreakAnswer = 'exact' | 'forked' | 'repaired' | 'rendered' | 'none';

/** Sums over the breaks of one cause. */
export interface CauseFacts {
  readonly cause: string;
  readonly breaks: number;
  readonly tokensLost: number;
  readonly retokenizedSampledTokens: number;
  /** How often each thing was done. */
  readonly done: Readonly<Partial<Record<BreakAnswer, number>>>;
}

const right = (name: string): TableColumn => ({ name, align: 'right' });

/** The cause that cost most comes first. */
export function causeFacts(breaks: readonly BreakFacts[]): CauseFacts[] {
  const causes = [...new Set(breaks.map(({ cause }) => cause))].sort();
  return causes
    .map((cause) => {
      const those = breaks.filter((one) => one.cause === cause);
      const done: Partial<Record<BreakAnswer, number>> = {};
      for (const one of those) done[one.done] = (done[one.done] ?? 0) + 1;
      return {
        cause,
        breaks: those.length,
        tokensLost: those.reduce((sum, one) => sum + one.tokensLost, 0),
        retokenizedSampledTokens: those.reduce((sum, one) => sum + one.retokenizedSampledTokens, 0),
        done,
      };
    })
    .sort((a, b) => b.tokensLost - a.tokensLost);
}

export function causeTable(causes: readonly CauseFacts[]): string {
  const columns = [{ name: 'cause' }, ...['breaks', 'tokens lost', 'tokenized again'].map(right), { name: 'done' }];
  const rows = causes.map((one) => [
    one.cause,
    whole(one.breaks),
    whole(one.tokensLost),
    whole(one.retokenizedSampledTokens),
    Object.entries(one.done)
      .map(([done, count]) => `${done} ${whole(count)}`)
      .join(', '),
  ]);
  return alignedTable(columns, rows);
}

export function breakTable(breaks: readonly BreakFacts[]): string {
  const columns = [
    { name: 'rollout' },
    right('turn'),
    { name: 'cause' },
    ...['tokens lost', 'reused', 'tokenized again'].map(right),
    { name: 'done' },
  ];
  const rows = breaks.map((one) => [
    one.rollout,
    whole(one.turn),
    one.cause,
    whole(one.tokensLost),
    whole(one.reusedTokens),
    whole(one.retokenizedSampledTokens),
    one.done,
  ]);
  return alignedTable(columns, rows);
}
