/**
 * Names for the placeholders of a repository.
 *
 * Invariant: no two names of one file are equal, and function names and files are unique in the repository.
 */
import type { Random } from '../../core/random.ts';
import { type Part, partsOf } from './compose.ts';
import { literal } from './program.ts';
import { capitalized, indexes, isHeldOutName, items, nouns, plurals, results, texts, verbs } from './words.ts';

/** Texts of the placeholders of one file, without `$`. */
export type Names = ReadonlyMap<string, string>;

const placeholder = /\$([A-Za-z]+\d?)(_[pm]1)?/g;

/** A template with its names and constants. */
export function named(template: string, part: Part, names: Names): string {
  return template.replace(placeholder, (_, key: string, shift: string | undefined) => {
    const constant = part.constants[key];
    if (typeof constant === 'number') return String(constant + (shift === '_p1' ? 1 : shift === '_m1' ? -1 : 0));
    if (constant !== undefined) return literal(constant);
    const name = names.get(key);
    if (name === undefined) throw new Error(`no name for $${key} in ${template}`);
    return name;
  });
}

/** Names of every part. `heldOut`: function names are those that training never has. */
export function nameParts(root: Part, random: Random, heldOut: boolean): ReadonlyMap<Part, Names> {
  const used = new Set<string>();
  const fresh = (pool: readonly string[]): string => {
    for (let i = 0; i < 400; i++) {
      const word = random.pick(pool);
      if (used.has(word)) continue;
      used.add(word);
      return word;
    }
    throw new Error('a pool of words ran out');
  };
  const callable = (): string => {
    for (let i = 0; i < 400; i++) {
      const [verb, noun] = [random.pick(verbs), random.pick(nouns)];
      const name = `${verb}${capitalized(noun)}`;
      if (isHeldOutName(verb, noun) !== heldOut || used.has(name)) continue;
      used.add(name);
      return name;
    }
    throw new Error('names of functions ran out');
  };
  const fields = [fresh(nouns), fresh(nouns)];
  const all = new Map<Part, Map<string, string>>();
  for (const part of partsOf(root)) {
    const isClass = part.gives === 'feed' || part.gives === 'budget';
    const own = callable();
    const wrong = callable();
    all.set(
      part,
      new Map([
        ['file', fresh(nouns)],
        ['f', isClass ? capitalized(own) : own],
        ['g', isClass ? capitalized(wrong) : wrong],
        ['fldA', fields[0] as string],
        ['fldB', fields[1] as string],
        ...(isClass
          ? ([
              ['ma', fresh(verbs)],
              ['mb', fresh(verbs)],
            ] as const)
          : []),
      ]),
    );
  }
  for (const part of partsOf(root)) {
    const names = all.get(part) as Map<string, string>;
    part.children.forEach((child, index) => {
      const of = all.get(child) as Map<string, string>;
      const [module, callee, wrong] = index === 0 ? ['A', 'fa', 'ga'] : ['B', 'fb', 'gb'];
      names.set(module as string, of.get('file') as string);
      names.set(callee as string, of.get('f') as string);
      names.set(wrong as string, of.get('g') as string);
      for (const method of ['ma', 'mb']) if (of.has(method)) names.set(method, of.get(method) as string);
    });
    nameLocals(part, names, used, random);
  }
  return all;
}

function nameLocals(part: Part, names: Map<string, string>, used: ReadonlySet<string>, random: Random): void {
  const taken = new Set<string>();
  for (const [, key = ''] of `${part.form.code} ${part.form.says}`.matchAll(placeholder)) {
    if (names.has(key) || key in part.constants) continue;
    let word = random.pick(poolOf(key));
    while (used.has(word) || taken.has(word)) word = random.pick(poolOf(key));
    taken.add(word);
    names.set(key, word);
  }
}

function poolOf(key: string): readonly string[] {
  if (key.startsWith('list')) return plurals;
  if (key.startsWith('num') || key.startsWith('item')) return nouns;
  if (key.startsWith('text')) return texts;
  if (key.startsWith('acc')) return results;
  if (key.startsWith('it')) return items;
  if (key === 'i') return indexes;
  throw new Error(`no pool for $${key}`);
}
