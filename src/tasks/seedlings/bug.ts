/**
 * A seeded bug: wrong templates of one or two files of a repository, and the calls that tell wrong from right.
 *
 * Invariants
 * 1. Every site is needed: with any one of them left wrong, some test fails.
 * 2. The files that are wrong are called with at least two different answers, some in the hidden tests only.
 * 3. No call in a test of a task as it is found runs for ever: suites that end by running out of fuel cost more than they teach.
 * 4. Right answers are whole numbers, texts, truth values and lists of them, small enough to read.
 */
import type { Random } from '../../core/random.ts';
import { argsFor, isClass, modulesOf, type Part, partsOf } from './compose.ts';
import type { Value } from './fragment.ts';
import { call, type Exported, endless, link, literal, outcomeOf } from './program.ts';
import { mutantsOfCode, type Operator } from './split.ts';

/** One wrong line of one file. `code` is the whole wrong template. */
export interface Site {
  readonly part: Part;
  readonly code: string;
}

export interface Bug {
  readonly operator: Operator;
  readonly sites: readonly Site[];
}

/** One call of a part in a test. */
export interface Probe {
  readonly args: readonly Value[];
  readonly answer: Value;
}

export interface Probes {
  readonly visible: readonly Probe[];
  readonly hidden: readonly Probe[];
}

/** A bug of this operator in this part, or null when the part has no room for it. */
export function drawBug(root: Part, part: Part, operator: Operator, random: Random): Bug | null {
  if (operator === 'rename' || operator === 'argument-order') {
    const caller = partsOf(root).find(({ children }) => children.includes(part));
    if (!caller) return null;
    return operator === 'rename' ? renamed(part, caller) : reordered(part, caller);
  }
  const options = mutantsOfCode(part.form.code).filter((mutant) => mutant.operator === operator);
  if (options.length === 0) return null;
  return { operator, sites: [{ part, code: random.pick(options).code }] };
}

/** The file exports another name than the statement says, and its caller uses that name. */
function renamed(part: Part, caller: Part): Bug {
  const [callee, wrong] = caller.children[0] === part ? ['.$fa', '.$ga'] : ['.$fb', '.$gb'];
  return {
    operator: 'rename',
    sites: [
      { part, code: part.form.code.replace('exports.$f ', 'exports.$g ') },
      { part: caller, code: caller.form.code.replace(callee as string, wrong as string) },
    ],
  };
}

/** The file takes its arguments in another order than the statement says, and its caller hands them over so. */
function reordered(part: Part, caller: Part): Bug | null {
  const signature = /^exports\.\$f = \((\$\w+), (\$\w+)\)/;
  const given = caller.children[0] === part ? /\.\$fa\((\$\w+), (\$\w+)\)/ : /\.\$fb\((\$\w+), (\$\w+)\)/;
  if (!signature.test(part.form.code) || !given.test(caller.form.code)) return null;
  return {
    operator: 'argument-order',
    sites: [
      { part, code: part.form.code.replace(signature, 'exports.$f = ($2, $1)') },
      {
        part: caller,
        code: caller.form.code.replace(given, (text, a: string, b: string) => text.replace(`${a}, ${b}`, `${b}, ${a}`)),
      },
    ],
  };
}

/** The exports of a repository with some sites wrong. */
export function linkWith(root: Part, sites: readonly Site[]): ReadonlyMap<Part, Exported> {
  const exported = new Map<Part, Exported>();
  const visit = (part: Part): Exported => {
    const site = sites.find((each) => each.part === part);
    const children = part.children.map(visit);
    const isTouched = site !== undefined || part.children.some((child, i) => children[i] !== child.right);
    const modules = modulesOf(part.children, (child) => exported.get(child) as Exported);
    // Wrong names reach the same code: what differs is which names are missing, and `fails` knows that.
    const code = (site?.code ?? part.form.code).replace('exports.$g ', 'exports.$f ').replace(/\.\$g([ab])\b/, '.$f$1');
    const result = isTouched ? link(code, part.constants, modules) : part.right;
    exported.set(part, result);
    return result;
  };
  visit(root);
  return exported;
}

/** Calls for the tests of every part, or null when they do not tell the bug. */
export function drawProbes(root: Part, bug: Bug, random: Random): ReadonlyMap<Part, Probes> | null {
  const wrong = linkWith(root, bug.sites);
  const all = new Map<Part, Probes>();
  for (const part of partsOf(root)) {
    const isWrong = bug.sites.some((site) => site.part === part);
    const exported = wrong.get(part) as Exported;
    const probes = isWrong ? wrongProbes(part, exported, random) : rightProbes(part, exported, random);
    if (!probes) return null;
    all.set(part, probes);
  }
  if (bug.operator === 'rename') return all;
  const variants = bug.sites.length === 1 ? [bug.sites] : [bug.sites, ...bug.sites.map((site) => [site])];
  return variants.every((sites) => fails(root, sites, all)) ? all : null;
}

function fails(root: Part, sites: readonly Site[], probes: ReadonlyMap<Part, Probes>): boolean {
  const exported = linkWith(root, sites);
  return [...probes].some(([part, { visible, hidden }]) =>
    [...visible, ...hidden].some(
      ({ args, answer }) => outcomeOf(exported.get(part) as Exported, args, isClass(part)) !== literal(answer),
    ),
  );
}

function drawCalls(part: Part, count: number, tries: number, random: Random): Probe[] {
  const found = new Map<string, Probe>();
  for (let i = 0; i < tries && found.size < count; i++) {
    const args = argsFor(part, random);
    const key = literal(args);
    if (found.has(key)) continue;
    try {
      const answer = call(part.right, args, isClass(part));
      if (isReadable(answer)) found.set(key, { args, answer });
    } catch {
      // Arguments that the right code cannot take are no test.
    }
  }
  return [...found.values()];
}

/** `exported` is what a file that is right itself gives over children that may be wrong. */
function rightProbes(part: Part, exported: Exported, random: Random): Probes | null {
  const calls = drawCalls(part, 3, 10, random);
  const isTouched = exported !== part.right;
  if (isTouched && calls.some(({ args }) => outcomeOf(exported, args, isClass(part)) === endless)) return null;
  return calls.length < 2 ? null : { visible: calls.slice(0, 1), hidden: calls.slice(1) };
}

function wrongProbes(part: Part, wrong: Exported, random: Random): Probes | null {
  const calls = drawCalls(part, 16, 24, random);
  const outcomes = new Map(calls.map((probe) => [probe, outcomeOf(wrong, probe.args, isClass(part))]));
  if ([...outcomes.values()].includes(endless)) return null;
  const telling = calls.filter((probe) => outcomes.get(probe) !== literal(probe.answer));
  const silent = calls.filter((probe) => !telling.includes(probe));
  // With a single telling call it is hidden; a visible test that passes is then all that the agent can see.
  const shown = telling.length > 1 && random.chance(0.85) ? telling.slice(0, 1) : [];
  const visible = [...shown, ...silent.slice(0, 1)];
  if (visible.length === 0) visible.push(...telling.slice(0, 1));
  const rest = [...telling.filter((probe) => !visible.includes(probe)).slice(0, 3), ...silent.slice(1, 3)];
  const answers = new Set([...visible, ...rest].map(({ answer }) => literal(answer)));
  return rest.length > 0 && answers.size > 1 ? { visible, hidden: rest } : null;
}

function isReadable(value: Value): boolean {
  if (typeof value === 'number') return Number.isInteger(value) && !Object.is(value, -0) && Math.abs(value) < 1000;
  if (typeof value === 'string') return value.length <= 32;
  if (typeof value === 'boolean') return true;
  return Array.isArray(value) && value.length <= 10 && value.every((inner: Value) => isReadable(inner));
}
