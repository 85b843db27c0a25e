/** All program fragments, and which are never seen in training. */
import type { Fragment } from './fragment.ts';
import { callerFragments } from './fragments/callers.ts';
import { classFragments } from './fragments/classes.ts';
import { listFragments } from './fragments/on-lists.ts';
import { numberFragments } from './fragments/on-numbers.ts';
import { textFragments } from './fragments/on-texts.ts';

export const fragments: readonly Fragment[] = [
  ...numberFragments,
  ...listFragments,
  ...textFragments,
  ...classFragments,
  ...callerFragments,
];

/** Held out as a whole: the set `novel`. */
export const novelFragments: ReadonlySet<string> = new Set([
  'halvings',
  'streak',
  'initials',
  'insert',
  'overlap',
  'nth',
]);
