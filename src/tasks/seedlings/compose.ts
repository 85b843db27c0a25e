/**
 * Repositories before they have names: a tree of fragments that call each other, with constants, linked and runnable.
 *
 * Invariant: the fragment that a repository is built around is in it, whatever else is drawn.
 */
import type { Random } from '../../core/random.ts';
import type { Constants, Form, Fragment, Slot, Type, Value } from './fragment.ts';
import { call, type Exported, link, type Modules } from './program.ts';

/** One source file. */
export interface Part {
  readonly fragment: Fragment;
  /** With `$ps` written out. */
  readonly form: Form;
  readonly constants: Constants;
  readonly takes: readonly Type[];
  readonly gives: Type;
  readonly children: readonly Part[];
  /** What the right code exports. */
  readonly right: Exported;
}

export const isClass = (part: Part): boolean => isClassType(part.gives);

const isClassType = (type: Type | null): boolean => type === 'feed' || type === 'budget';

/** What a set draws from. */
export interface Rules {
  readonly pool: readonly Fragment[];
  /** Whether two fragments may stand in one repository. */
  mayMeet(a: Fragment, b: Fragment): boolean;
  mayHave(fragment: Fragment, constants: Constants): boolean;
}

/** The part and all below it, callers first. */
export function partsOf(root: Part): Part[] {
  return [root, ...root.children.flatMap(partsOf)];
}

/** Parameter placeholders of a caller that hands its own arguments on. */
export function parametersOf(takes: readonly Type[]): string {
  const pool: Readonly<Record<string, string>> = { num: 'num', list: 'list', recs: 'list', text: 'text', span: 'num' };
  return takes.map((type, index) => `$${pool[type]}${'PQ'.charAt(index)}`).join(', ');
}

/** Arguments of one call of a part. */
export function argsFor(part: Part, random: Random): readonly Value[] {
  const { fragment, constants, children, takes } = part;
  if (fragment.takes) return fragment.args(random, constants);
  const sources = children.filter((child) => child.takes.join() === takes.join());
  return argsFor(random.pick(sources), random);
}

export function modulesOf(children: readonly Part[], exported: (part: Part) => Exported): Modules {
  const modules: Record<string, Record<string, Exported>> = {};
  children.forEach((child, index) => {
    modules[index === 0 ? '$A' : '$B'] = { [index === 0 ? '$fa' : '$fb']: exported(child) };
  });
  return modules;
}

/** null when the rules refuse all constants that were drawn. */
function makePart(fragment: Fragment, children: readonly Part[], rules: Rules, random: Random): Part | null {
  const [first] = children;
  const takes = fragment.takes ?? first?.takes ?? [];
  const gives = fragment.gives ?? (children.at(-1)?.gives as Type);
  const chosen = random.pick(fragment.forms);
  const form = written(chosen, takes);
  const constants = drawConstants(fragment, first, rules, random);
  if (!constants) return null;
  const right = link(
    form.code,
    constants,
    modulesOf(children, (child) => child.right),
  );
  return { fragment, form, constants, takes, gives, children, right };
}

function drawConstants(fragment: Fragment, first: Part | undefined, rules: Rules, random: Random): Constants | null {
  for (let i = 0; i < 12; i++) {
    const needsResults = first !== undefined && !isClass(first) && fragment.constants.length > 1;
    const constants = fragment.constants(random, needsResults ? resultsOf(first, random) : []);
    if (rules.mayHave(fragment, constants)) return constants;
  }
  return null;
}

const writtenForms = new Map<Form, Map<string, Form>>();

function written(form: Form, takes: readonly Type[]): Form {
  const parameters = parametersOf(takes);
  let byParameters = writtenForms.get(form);
  if (!byParameters) {
    byParameters = new Map();
    writtenForms.set(form, byParameters);
  }
  let result = byParameters.get(parameters);
  if (!result) {
    // A class has methods of its own; inside a caller they are the child's.
    const code = form.code.replaceAll('$ps', parameters).replaceAll('$maa', '$ma').replaceAll('$mba', '$mb');
    const says = form.says.replaceAll('$ps', parameters).replaceAll('$maa', '$ma').replaceAll('$mba', '$mb');
    result = { code, says };
    byParameters.set(parameters, result);
  }
  return result;
}

function resultsOf(part: Part, random: Random): Value[] {
  const results: Value[] = [];
  for (let i = 0; i < 4; i++) {
    try {
      results.push(call(part.right, argsFor(part, random), false));
    } catch {
      // A part that throws on its own arguments is refused later, when its calls are drawn.
    }
  }
  return results;
}

/** Whether a part with this signature fits a slot beside the children before it. */
function fits(slot: Slot, takes: readonly Type[], gives: Type, before: readonly Part[]): boolean {
  if (slot.gives === 'any' ? isClassType(gives) : slot.gives !== gives) return false;
  if (slot.takes === 'any') return true;
  const [first] = before;
  const wanted = slot.takes === 'first' ? first?.takes : slot.takes === 'result' ? first && [first.gives] : slot.takes;
  return wanted !== undefined && wanted.join() === takes.join();
}

/** A tree of `size` files around a fragment, or null when the draw came to a dead end. */
export function compose(around: Fragment, size: number, rules: Rules, random: Random): Part | null {
  const isLeaf = around.slots.length === 0;
  let root = isLeaf ? makePart(around, [], rules, random) : withLeaves(around, null, rules, random);
  for (
    let count = root ? partsOf(root).length : size;
    root && count < size;
    count = root ? partsOf(root).length : size
  ) {
    root = wrapped(root, size - count, rules, random);
  }
  return root && partsOf(root).length === size && !isClass(root) ? root : null;
}

/** The tree under one more caller, at most `room` files larger. */
function wrapped(below: Part, room: number, rules: Rules, random: Random): Part | null {
  const present = partsOf(below);
  const options = rules.pool.filter(
    (caller) => caller.slots.length > 0 && caller.slots.length <= room && joins(caller, present, rules),
  );
  for (const caller of random.shuffled(options)) {
    const root = withLeaves(caller, below, rules, random);
    if (root) return root;
  }
  return null;
}

/** A fragment stands in one file only, so that a specification is never confused with another. */
function joins(fragment: Fragment, present: readonly Part[], rules: Rules): boolean {
  return present.every((part) => part.fragment !== fragment && rules.mayMeet(part.fragment, fragment));
}

/** A caller over leaves, with `given` in one of its slots if there is one that it fits. */
function withLeaves(caller: Fragment, given: Part | null, rules: Rules, random: Random): Part | null {
  const others = given ? partsOf(given) : [];
  const places = given ? random.shuffled(caller.slots.map((_, index) => index)) : [-1];
  for (const place of places) {
    const children: Part[] = [];
    for (const [index, slot] of caller.slots.entries()) {
      if (index === place && given) {
        if (
          fits(slot, given.takes, given.gives, children) &&
          children.every((leaf) => joins(leaf.fragment, others, rules))
        )
          children.push(given);
        continue;
      }
      const present = [...others, ...children];
      const leaf = drawLeaf(
        slot,
        children,
        (fragment) => rules.mayMeet(fragment, caller) && joins(fragment, present, rules),
        rules,
        random,
      );
      if (leaf) children.push(leaf);
    }
    if (children.length === caller.slots.length) return makePart(caller, children, rules, random);
  }
  return null;
}

function drawLeaf(
  slot: Slot,
  before: readonly Part[],
  isAllowed: (fragment: Fragment) => boolean,
  rules: Rules,
  random: Random,
): Part | null {
  const options = rules.pool.filter(
    (leaf) => leaf.slots.length === 0 && fits(slot, leaf.takes ?? [], leaf.gives as Type, before) && isAllowed(leaf),
  );
  return options.length > 0 ? makePart(random.pick(options), [], rules, random) : null;
}
