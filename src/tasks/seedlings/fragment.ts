/**
 * A program fragment: the kind of function or class that one source file holds.
 *
 * Code and specification are templates. `$name` is a placeholder: `$K1` a number, `$S1` a quoted text, everything else a
 * name whose prefix says which pool it comes from. A placeholder is also a JavaScript identifier, so a template is
 * parsed, mutated, compiled and run once, whatever its names will be. `«x~y»` is a choice, the same one in code and in
 * specification; `«b:x~y»` is a second, independent one. Choices make right code of one task the bug of another, so
 * that nobody can repair without the statement.
 *
 * Invariants
 * 1. Code has single quotes only and no backslash, and a statement stands on one line.
 * 2. A fragment with slots calls each of its children once, as `$A.$fa(...)`, `$B.$fb(...)`.
 * 3. The specification fixes what every call in `args` gives.
 */
import type { Random } from '../../core/random.ts';

/** What a function takes or gives. `feed` and `budget` are classes. `recs` is a list of records, `span` a pair. */
export type Type = 'num' | 'list' | 'recs' | 'text' | 'span' | 'feed' | 'budget';

export type Value = number | string | boolean | null | undefined | readonly Value[] | { readonly [key: string]: Value };

/** Values of the constant placeholders, without `$`. */
export type Constants = Readonly<Record<string, number | string>>;

/** What a child must be. `any`: no condition; `first`: takes what child 0 takes; `result`: takes what child 0 gives. */
export interface Slot {
  readonly takes: 'any' | 'first' | 'result' | readonly Type[];
  readonly gives: Type | 'any';
}

export interface Fragment {
  readonly name: string;
  readonly slots: readonly Slot[];
  /** null: what child 0 takes, written `$ps`. */
  readonly takes: readonly Type[] | null;
  /** null: what the last child gives. */
  readonly gives: Type | null;
  readonly forms: readonly Form[];
  /** `results` are what child 0 gives in a few calls; empty without slots. */
  constants(random: Random, results: readonly Value[]): Constants;
  /** Arguments of one call; for a class, one call a method: `[method placeholder, ...arguments]`. */
  args(random: Random, constants: Constants): readonly Value[];
}

export interface Form {
  readonly code: string;
  readonly says: string;
}

export interface FragmentParts {
  readonly takes: readonly Type[] | null;
  readonly gives: Type | null;
  readonly slots?: readonly Slot[];
  readonly constants?: Fragment['constants'];
  readonly args?: Fragment['args'];
  readonly code: string;
  readonly says: string;
}

export function fragment(name: string, parts: FragmentParts): Fragment {
  return {
    name,
    slots: parts.slots ?? [],
    takes: parts.takes,
    gives: parts.gives,
    forms: expand({ code: parts.code.trim(), says: parts.says }),
    constants: parts.constants ?? (() => ({})),
    args: parts.args ?? (() => []),
  };
}

const choice = /«(?:([a-z]):)?([^»]*)»/;

/** All forms of a template with choices. */
function expand(form: Form): Form[] {
  const found = choice.exec(form.code) ?? choice.exec(form.says);
  if (!found) return [form];
  const label = found[1] ?? 'a';
  const options = (found[2] as string).split('~');
  return options.flatMap((_, option) =>
    expand({ code: settle(form.code, label, option), says: settle(form.says, label, option) }),
  );
}

function settle(text: string, label: string, option: number): string {
  return text.replace(new RegExp(choice, 'g'), (whole, name: string | undefined, options: string) => {
    if ((name ?? 'a') !== label) return whole;
    const chosen = options.split('~')[option];
    if (chosen === undefined)
      throw new RangeError(`${whole} has no choice ${option}: as many in code as in specification`);
    return chosen;
  });
}

/** The whole number constant `key`. */
export function numberOf(constants: Constants, key: string): number {
  const value = constants[key];
  if (typeof value !== 'number') throw new TypeError(`constant ${key} is ${value}, not a number`);
  return value;
}

/** Numbers that meet the edges of the constants. */
export function near(random: Random, constants: Constants, keys: readonly string[], low = 0, high = 60): number {
  return random.chance(0.6)
    ? numberOf(constants, random.pick(keys)) + random.between(-1, 1)
    : random.between(low, high);
}

export function numbers(random: Random, length: number, low: number, high: number): number[] {
  return Array.from({ length }, () => random.between(low, high));
}
