/**
 * Templates that run: compiled once, with their constants and children as arguments.
 *
 * Covered: code of our own templates and mutants of it. Loops are counted, so that every call ends; nothing that an
 * agent wrote is ever run here.
 */
import type { Value } from './fragment.ts';
import { parseScript, visits } from './operators.ts';

/** What a source file exports: a function, or a class when `methods` are called on it. */
export type Exported = ((...args: readonly Value[]) => Value) & { readonly prototype?: unknown };

/** Modules by placeholder: `$A`, `$B`. */
export type Modules = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

type Linked = (walk: () => void, constants: Readonly<Record<string, number | string>>, modules: Modules) => Exported;

const maxLoops = 300;
let loops = 0;
const countLoop = (): void => {
  loops += 1;
  if (loops > maxLoops) throw new EndlessLoop();
};

const linked = new Map<string, Linked>();

/** The export of a template. */
export function link(code: string, constants: Readonly<Record<string, number | string>>, modules: Modules): Exported {
  let program = linked.get(code);
  if (!program) {
    program = compile(code);
    linked.set(code, program);
  }
  return program(countLoop, constants, modules);
}

function compile(code: string): Linked {
  const inserts: { at: number; text: string }[] = [];
  for (const { node } of visits(parseScript(code))) {
    if (node.type !== 'ForStatement' && node.type !== 'ForOfStatement' && node.type !== 'WhileStatement') continue;
    inserts.push({ at: node.body.start, text: '{ $tick(); ' }, { at: node.body.end, text: ' }' });
  }
  inserts.sort((a, b) => b.at - a.at);
  let counted = code;
  for (const { at, text } of inserts) counted = counted.slice(0, at) + text + counted.slice(at);
  const constants = new Set(counted.match(/\$[KS]\d(_[pm]1)?/g) ?? []);
  const read = [...constants].map((name) => {
    const [key = '', shift] = name.slice(1).split('_');
    return `const ${name} = $constants.${key}${shift === 'p1' ? ' + 1' : shift === 'm1' ? ' - 1' : ''};`;
  });
  const body = `'use strict';\nconst { $A, $B } = $modules;\nconst exports = {};\n${read.join('\n')}\n${counted}\nreturn exports.$f;`;
  const make = new Function('$tick', '$constants', '$modules', body);
  return (walk, values, modules) => make(walk, values, modules) as Exported;
}

/** The outcome of a call that never ends. */
export const endless = 'endless';

class EndlessLoop extends Error {}

/** What a call gives, as text that is equal exactly when the values are deeply and strictly equal. */
export function outcomeOf(exported: Exported, args: readonly Value[], isClass: boolean): string {
  try {
    return literal(call(exported, args, isClass));
  } catch (thrown) {
    if (thrown instanceof EndlessLoop) return endless;
    return `throws ${thrown instanceof Error ? thrown.name : 'something'}`;
  }
}

/** Throws what the code throws. */
export function call(exported: Exported, args: readonly Value[], isClass: boolean): Value {
  loops = 0;
  if (!isClass) return exported(...args.map(copied));
  const instance = Reflect.construct(exported, []) as Readonly<Record<string, (...args: readonly Value[]) => Value>>;
  let last: Value;
  for (const step of args as readonly (readonly [string, ...Value[]])[]) {
    const [method, ...rest] = step;
    const found = instance[method];
    if (!found) throw new TypeError(`no method ${method}`);
    last = found.apply(instance, rest);
  }
  return last;
}

function copied(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copied);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, copied(inner)]));
}

/** JavaScript source of a value, single-quoted. */
export function literal(value: Value): string {
  if (typeof value === 'string') return `'${value}'`;
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  if (value === null || typeof value !== 'object') return String(value);
  if (Array.isArray(value)) return `[${Array.from(value, literal).join(', ')}]`;
  const entries = Object.entries(value).map(([key, inner]) => `${key}: ${literal(inner)}`);
  return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`;
}
