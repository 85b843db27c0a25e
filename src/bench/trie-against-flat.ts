/**
 * One trie and flat forms of it, forward and backward in the same engine: counts, times, and whether results agree.
 *
 * `native.gradients` is what is timed: forward, backward and the gradient handed over, no optimizer, which costs the
 * same on both sides.
 */
import type { ModelShape, Native, Tensors, TrainerState, TrainPlan } from '../native/native.ts';
import { relativeError } from '../native/train-case.ts';
import { gap, whole } from '../report/format.ts';
import { alternate, type Rounds, ratioOf, type Spread, secondsOf, spreadOf } from './measure.ts';
import { type Column, figure, shareText, spreadText, timesText } from './report.ts';
import { trainingFlops } from './work.ts';

export interface Comparison {
  readonly treeTokens: number;
  readonly flatTokens: number;
  readonly tokenRatio: number;
  /** What no implementation can beat: the ratio of exact operation counts, attention included. */
  readonly flopBound: number;
  readonly treeSeconds: Spread;
  readonly flatSeconds: Spread;
  /** Flat time over trie time, within a round. */
  readonly timeRatio: Spread;
  readonly shareOfBound: Spread;
  /** Tokens whose forward ran more than once. */
  readonly recomputedTokens: number;
  /** ||a - b|| / ||b|| of the tensor that differs most. */
  readonly gradientsDifferBy: number;
}

/** A flat form, and the trie plan that has its loss. */
export interface FlatForm {
  readonly flat: TrainPlan;
  readonly sameLoss: TrainPlan;
}

/** `tree` is what is timed; a form's `sameLoss` may weigh the same tokens otherwise. */
export async function compareWithFlat<Name extends string>(
  native: Native,
  trainer: TrainerState,
  shape: ModelShape,
  tree: TrainPlan,
  forms: Readonly<Record<Name, FlatForm>>,
  rounds: Rounds,
): Promise<Record<Name, Comparison>> {
  // Also the warm-up. The learning rate is 0.
  const { forwardTokens } = await native.train(trainer, tree);
  const time = (plan: TrainPlan) => () => secondsOf(() => native.gradients(trainer, plan));
  const names = Object.keys(forms) as Name[];
  const cases = Object.fromEntries(names.map((name) => [name, time(forms[name].flat)]));
  const seconds: Record<string, number[]> = await alternate({ ...cases, tree: time(tree) }, rounds);
  const of = (name: string): number[] => seconds[name] as number[];
  const comparisons: [Name, Comparison][] = [];
  for (const name of names) {
    const { flat, sameLoss } = forms[name];
    const flopBound = trainingFlops(flat, shape) / trainingFlops(tree, shape);
    const timeRatio = ratioOf(of(name), of('tree'));
    comparisons.push([
      name,
      {
        treeTokens: tree.tokens.length,
        flatTokens: flat.tokens.length,
        tokenRatio: flat.tokens.length / tree.tokens.length,
        flopBound,
        treeSeconds: spreadOf(of('tree')),
        flatSeconds: spreadOf(of(name)),
        timeRatio,
        shareOfBound: scaled(timeRatio, 1 / flopBound),
        recomputedTokens: forwardTokens - tree.tokens.length,
        gradientsDifferBy: worstError(await native.gradients(trainer, sameLoss), await native.gradients(trainer, flat)),
      },
    ]);
  }
  return Object.fromEntries(comparisons) as Record<Name, Comparison>;
}

function scaled({ min, median, max, runs }: Spread, factor: number): Spread {
  return { min: factor * min, median: factor * median, max: factor * max, runs };
}

function worstError(a: Tensors, b: Tensors): number {
  return Math.max(...a.data.map((data, i) => relativeError(data, b.data[i] ?? [])));
}

/** How a comparison reads, after the columns that say what was compared. */
export function comparisonColumns<Row extends Comparison>(): Column<Row>[] {
  const milliseconds = (seconds: number): string => (1000 * seconds).toFixed(0);
  return [
    figure('tokens trie', ({ treeTokens }) => whole(treeTokens)),
    figure('flat', ({ flatTokens }) => whole(flatTokens)),
    figure('token ratio', ({ tokenRatio }) => tokenRatio.toFixed(2)),
    figure('FLOP bound', ({ flopBound }) => flopBound.toFixed(2)),
    figure('trie ms', ({ treeSeconds }) => spreadText(treeSeconds, milliseconds)),
    figure('time ratio', ({ timeRatio }) => timesText(timeRatio)),
    figure('of the bound', ({ shareOfBound }) => shareText(shareOfBound)),
    figure('recomputed', ({ recomputedTokens }) => whole(recomputedTokens)),
    figure('gradients differ by', ({ gradientsDifferBy }) => gap(gradientsDifferBy)),
  ];
}
