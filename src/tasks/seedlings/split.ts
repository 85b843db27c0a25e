/**
 * What is held out of training: pairs (fragment, operator), pairs of fragments that meet in one repository, names and
 * constants. Fixed by hashes, so that no set depends on which tasks were drawn.
 *
 * Invariants
 * 1. Every fragment keeps operators in training, and every operator of a held-out pair occurs there with other fragments.
 * 2. A pair counts only when some mutant of it changes some answer without running for ever.
 */
import { Random, seedOf } from '../../core/random.ts';
import { argsFor, compose, isClass, modulesOf, type Part, partsOf, type Rules } from './compose.ts';
import type { Constants, Fragment } from './fragment.ts';
import { fragments, novelFragments } from './fragments.ts';
import { type LineOperator, lineOperators, type Mutant, mutantsOf } from './operators.ts';
import { endless, link, outcomeOf } from './program.ts';

/** Operators that change two files. */
export const twofoldOperators = ['rename', 'argument-order'] as const;

export type Operator = LineOperator | (typeof twofoldOperators)[number];

export const isTwofold = (operator: Operator): boolean => twofoldOperators.some((each) => each === operator);

export const operators: readonly Operator[] = [...lineOperators, ...twofoldOperators];

const hash = (...parts: readonly string[]): number => new Random(seedOf('seedlings/split', ...parts)).next();

export const trainFragments: readonly Fragment[] = fragments.filter(({ name }) => !novelFragments.has(name));

const mutants = new Map<string, readonly Mutant[]>();

export function mutantsOfCode(code: string): readonly Mutant[] {
  let found = mutants.get(code);
  if (!found) {
    found = mutantsOf(code);
    mutants.set(code, found);
  }
  return found;
}

const freely: Rules = { pool: fragments, mayMeet: () => true, mayHave: () => true };

const viable = new Map<string, readonly Operator[]>();

/** Operators with a mutant of this fragment that changes an answer, in the order of `operators`. */
export function operatorsOf(fragment: Fragment): readonly Operator[] {
  let found = viable.get(fragment.name);
  if (!found) {
    found = findOperators(fragment);
    viable.set(fragment.name, found);
  }
  return found;
}

function findOperators(fragment: Fragment): Operator[] {
  const random = new Random(seedOf('seedlings/viable', fragment.name));
  const found = new Set<Operator>(['rename']);
  for (let trial = 0; trial < 24; trial++) {
    const root = compose(fragment, Math.max(2, fragment.slots.length + 1), freely, random);
    const part = root && partsOf(root).find((each) => each.fragment === fragment);
    if (!part) continue;
    if (part.takes.length > 1 && !fragment.takes?.includes('span')) found.add('argument-order');
    const calls = Array.from({ length: 12 }, () => argsFor(part, random));
    for (const mutant of mutantsOfCode(part.form.code)) {
      if (!found.has(mutant.operator) && calls.some((args) => differs(part, mutant, args))) found.add(mutant.operator);
    }
  }
  return operators.filter((operator) => found.has(operator));
}

function differs(part: Part, mutant: Mutant, args: Parameters<typeof outcomeOf>[1]): boolean {
  const wrong = link(
    mutant.code,
    part.constants,
    modulesOf(part.children, (child) => child.right),
  );
  const outcome = outcomeOf(wrong, args, isClass(part));
  return outcome !== endless && outcome !== outcomeOf(part.right, args, isClass(part));
}

const heldOut = new Map<string, ReadonlySet<Operator>>();

/**
 * `logic` occurs in one fragment only: held out, it would be unknown altogether. What changes two files would crowd the
 * other pairs out of `transfer`. Constants are held out by value, in `unseen`.
 */
const neverHeldOut: ReadonlySet<Operator> = new Set(['logic', 'constant', ...twofoldOperators]);

/** Operators that are never seen with this fragment in training: about a quarter of those that apply. */
export function heldOutOperators(fragment: Fragment): ReadonlySet<Operator> {
  let held = heldOut.get(fragment.name);
  if (!held) {
    const candidates = operatorsOf(fragment).filter((operator) => !neverHeldOut.has(operator));
    const ordered = [...candidates].sort((a, b) => hash(fragment.name, a) - hash(fragment.name, b));
    held = new Set(ordered.slice(0, Math.max(1, Math.round(candidates.length / 3))));
    heldOut.set(fragment.name, held);
  }
  return held;
}

export function trainOperators(fragment: Fragment): readonly Operator[] {
  return operatorsOf(fragment).filter((operator) => !heldOutOperators(fragment).has(operator));
}

const meetings = new Map<Fragment, Map<Fragment, boolean>>();

/**
 * A sixth of the pairs of fragments never meet in a repository of the training set. Of the callers that make a repository
 * of two files with a leaf, some are held out and some are not, so that `unseen` has such repositories too.
 */
export function isHeldOutMeeting(a: Fragment, b: Fragment): boolean {
  if (a.name > b.name) return isHeldOutMeeting(b, a);
  let ofFirst = meetings.get(a);
  if (!ofFirst) {
    ofFirst = new Map();
    meetings.set(a, ofFirst);
  }
  let held = ofFirst.get(b);
  if (held === undefined) {
    held = isBound(a, b)
      ? false
      : isPair(a, b) || isPair(b, a)
        ? isHeldOutPair(a, b)
        : hash('meeting', a.name, b.name) < 1 / 6;
    ofFirst.set(b, held);
  }
  return held;
}

/** Whether the two alone can be a repository. */
const isPair = (caller: Fragment, leaf: Fragment): boolean => {
  const [slot] = caller.slots;
  if (caller.slots.length !== 1 || leaf.slots.length > 0 || slot?.gives !== leaf.gives) return false;
  return slot?.takes === 'any' || slot?.takes.toString() === leaf.takes?.toString();
};

/** Leaves take turns, so that every caller meets some leaves in training and others not. */
function isHeldOutPair(a: Fragment, b: Fragment): boolean {
  const [caller, leaf] = a.slots.length > 0 ? [a, b] : [b, a];
  const callers = fragments.filter((each) => isPair(each, leaf));
  const turn = fragments.filter(({ slots, gives }) => slots.length === 0 && gives === leaf.gives).indexOf(leaf);
  const held = Math.ceil(callers.length / 3);
  return callers.length > 1 && (callers.indexOf(caller) + turn) % callers.length < held;
}

/** A class and its only caller always come together. */
function isBound(a: Fragment, b: Fragment): boolean {
  const isClass = ({ gives }: Fragment): boolean => gives === 'feed' || gives === 'budget';
  return (
    (isClass(a) && b.slots.some(({ gives }) => gives === a.gives)) ||
    (isClass(b) && a.slots.some(({ gives }) => gives === b.gives))
  );
}

/** Whether a repository has a pair of fragments that training never has. */
export function isHeldOutComposition(root: Part): boolean {
  const parts = partsOf(root);
  return parts.some((a, i) => parts.slice(i + 1).some((b) => isHeldOutMeeting(a.fragment, b.fragment)));
}

const heldConstants = new Map<string, boolean>();

/** A fifth of a fragment's sets of constants is never seen in training; without constants there is nothing to hold out. */
export function isHeldOutConstants(fragment: Fragment, constants: Constants): boolean {
  const key = `${fragment.name} ${Object.values(constants).join()}`;
  let held = heldConstants.get(key);
  if (held === undefined) {
    held = Object.keys(constants).length > 0 && hash('constants', key) < 0.2;
    heldConstants.set(key, held);
  }
  return held;
}

const holdable = new Map<string, boolean>();

/** Whether a fragment has enough sets of constants that some are held out and some are not. */
export function hasHeldOutConstants(fragment: Fragment): boolean {
  let found = holdable.get(fragment.name);
  if (found === undefined) {
    const random = new Random(seedOf('seedlings/constants', fragment.name));
    const draws = Array.from({ length: 100 }, () => fragment.constants(random, [random.between(1, 40)]));
    const held = draws.filter((constants) => isHeldOutConstants(fragment, constants)).length;
    found = held > 5 && held < 95;
    holdable.set(fragment.name, found);
  }
  return found;
}
