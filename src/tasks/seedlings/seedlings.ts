/**
 * `seedlings`: small JavaScript repositories with one seeded bug each. A pure function of (set, index).
 *
 * Sets
 * - `train`, endless: fragments, operators, compositions, names and constants that are not held out.
 * - `practice`, endless: as `train`, but every file is wrong: for demonstrations.
 * - `unseen`, 300: as `train`, but with names, constants and a pair of fragments that training never has.
 * - `transfer`, 300: pairs (fragment, operator) that training never has, with names that it never has.
 * - `novel`, 300: fragments that training never has, with names that it never has.
 */
import { EspalierError } from '../../core/errors.ts';
import { taskId } from '../../core/ids.ts';
import { Random, seedOf } from '../../core/random.ts';
import type { Task } from '../../core/task.ts';
import type { Taskset } from '../taskset.ts';
import { type Bug, drawBug, drawProbes } from './bug.ts';
import { compose, type Part, partsOf, type Rules } from './compose.ts';
import type { Fragment } from './fragment.ts';
import { fragments, novelFragments } from './fragments.ts';
import { type Names, nameParts } from './names.ts';
import { hiddenTestPath, packageFile, pathOf, render, visibleTestPath } from './render.ts';
import {
  hasHeldOutConstants,
  heldOutOperators,
  isHeldOutComposition,
  isHeldOutConstants,
  isHeldOutMeeting,
  isTwofold,
  type Operator,
  operatorsOf,
  trainFragments,
  trainOperators,
} from './split.ts';

export const seedlingSets = ['train', 'practice', 'unseen', 'transfer', 'novel'] as const;
export type SeedlingSet = (typeof seedlingSets)[number];

const isEndless = (set: SeedlingSet): boolean => set === 'train' || set === 'practice';

/** Tasks of each fixed set. */
export const fixedSize = 300;

/** Share of repositories with 2, 3, 4 and 5 source files. Practice meets many compositions, lest few are known by heart. */
const sizeShares = [0.78, 0.15, 0.04, 0.03];
const practiceSizeShares = [0.35, 0.4, 0.2, 0.05];
/** Share of tasks with two unrelated bugs, beside those whose operator changes two files. */
const twoBugShare = 0.15;

/** A task with what its generator knows: for the scripted expert and for tests, never for an agent. */
export interface Seedling {
  readonly task: Task;
  readonly root: Part;
  readonly bug: Bug;
  readonly names: ReadonlyMap<Part, Names>;
}

/** The taskset of a name such as `train` or `seedlings/unseen`. */
export function seedlings(spec: string): Taskset {
  const set = parseSet(spec);
  return {
    name: `seedlings/${set}`,
    size: isEndless(set) ? null : fixedSize,
    task: (index) => growSeedling(set, index).task,
  };
}

export function parseSet(spec: string): SeedlingSet {
  const name = spec.replace(/^seedlings\//, '');
  const set = seedlingSets.find((each) => each === name);
  if (set) return set;
  throw new EspalierError(
    'config',
    `no tasks '${spec}': use one of ${seedlingSets.map((each) => `seedlings/${each}`).join(', ')}`,
  );
}

const grown = new WeakMap<Task, Seedling>();

/** The seedling of a task that was made here, or of one with such an id, e.g. `seedlings/train/1042`. */
export function seedlingOf(task: Task): Seedling {
  const known = grown.get(task);
  if (known) return known;
  const [, set, index] = /^seedlings\/([a-z]+)\/(\d+)$/.exec(task.id) ?? [];
  if (!set) throw new EspalierError('task', `'${task.id}' is no seedling: ids look like seedlings/train/1042`);
  return growSeedling(parseSet(set), Number(index));
}

const maxAims = 60;
const attemptsPerAim = 200;

interface Aim {
  readonly fragment: Fragment;
  readonly operator: Operator;
  readonly size: number;
}

export function growSeedling(set: SeedlingSet, index: number): Seedling {
  const isOutside = !Number.isSafeInteger(index) || index < 0 || (!isEndless(set) && index >= fixedSize);
  if (isOutside)
    throw new EspalierError(
      'task',
      `seedlings/${set} has no task ${index}: ${isEndless(set) ? 'whole numbers from 0' : `0 to ${fixedSize - 1}`}`,
    );
  for (let turn = 0; turn < maxAims; turn++) {
    const random = new Random(seedOf('seedlings', set, index, turn));
    // What is aimed at stays for many attempts, lest easy draws crowd out the others.
    const target = aim(set, index, turn, random);
    for (let attempt = 0; attempt < attemptsPerAim; attempt++) {
      const seedling = grow(set, index, target, random);
      if (seedling) return seedling;
    }
  }
  throw new EspalierError('task', `seedlings/${set}/${index} could not be made`);
}

/** Where the bug goes. Fixed sets take turns, so that they are spread evenly. */
function aim(set: SeedlingSet, index: number, turn: number, random: Random): Aim {
  const pool = set === 'novel' ? fragments.filter(({ name }) => novelFragments.has(name)) : trainFragments;
  const fragment = isEndless(set) ? random.pick(pool) : (pool[index % pool.length] as Fragment);
  const size = Math.max(drawSize(set, random), fragment.slots.length + 1);
  const turned = Math.floor(index / pool.length) + turn;
  if (set === 'transfer') {
    const options = lighter([...heldOutOperators(fragment)], random);
    return { fragment, size, operator: options[turned % options.length] as Operator };
  }
  const all = set === 'novel' ? operatorsOf(fragment) : trainOperators(fragment);
  return { fragment, size, operator: random.pick(lighter(all, random)) };
}

/** `rename` and `return` apply to every fragment and `argument-order` to many: at full weight half of all bugs. */
function lighter(operators: readonly Operator[], random: Random): readonly Operator[] {
  const rest = operators.filter((operator) => operator !== 'return' && !isTwofold(operator));
  return rest.length > 0 && random.chance(0.7) ? rest : operators;
}

function grow(set: SeedlingSet, index: number, { fragment, operator, size }: Aim, random: Random): Seedling | null {
  const root = compose(fragment, size, rulesOf(set, fragment, size), random);
  if (!root || (set === 'unseen' && !isHeldOutComposition(root))) return null;
  const parts = partsOf(root);
  const part = parts.find((each) => each.fragment === fragment) as Part;
  const first = drawBug(root, part, operator, random);
  const bug = first && withMore(root, first, set, random);
  if (bug && set !== 'transfer' && set !== 'novel' && !isSeen(bug)) return null;
  const probes = bug && drawProbes(root, bug, random);
  if (!bug || !probes) return null;
  const names = nameParts(root, random, !isEndless(set));
  const order = random.shuffled(parts);
  const rendered = render(order, names, bug, probes);
  const paths = Object.keys(rendered.right);
  const solution: Record<string, string> = {};
  for (const path of paths) {
    if (rendered.right[path] !== rendered.wrong[path]) solution[path] = rendered.right[path] as string;
  }
  if (Object.keys(solution).length !== bug.sites.length) return null;
  const task: Task = {
    id: taskId(`seedlings/${set}/${index}`),
    statement: rendered.statement,
    files: { ...packageFile, ...rendered.wrong, [visibleTestPath]: rendered.visibleTest },
    allowedPaths: paths,
    hidden: { [hiddenTestPath]: rendered.hiddenTest },
    expectedTests: [visibleTestPath, hiddenTestPath].flatMap((path) =>
      rendered.titles.map((title) => `${path} > ${title}`),
    ),
    solution,
    origin: { fragment: fragment.name, operator, fileCount: bug.sites.length },
  };
  const seedling = { task, root, bug, names };
  grown.set(task, seedling);
  return seedling;
}

/** The caller of a file with another order of arguments looks as if its own had been swapped: that may be held out. */
function isSeen(bug: Bug): boolean {
  const caller = bug.sites[1]?.part.fragment;
  return bug.operator !== 'argument-order' || !caller || !heldOutOperators(caller).has('argument-swap');
}

const trainRules: Rules = {
  pool: trainFragments,
  mayMeet: (a, b) => !isHeldOutMeeting(a, b),
  mayHave: (fragment, constants) => !(hasHeldOutConstants(fragment) && isHeldOutConstants(fragment, constants)),
};

/** Training has nothing that is held out; `unseen` has held-out constants where the bug is. */
function rulesOf(set: SeedlingSet, wrong: Fragment, size: number): Rules {
  if (isEndless(set)) return trainRules;
  const pool = set === 'novel' ? [wrong, ...trainFragments] : trainFragments;
  const needsHeldOut = set === 'unseen' && hasHeldOutConstants(wrong);
  return {
    pool,
    mayMeet: (a, b) => {
      // Of larger repositories enough have a held-out pair by themselves.
      if (set === 'unseen') return size > 2 || isHeldOutMeeting(a, b);
      return !isHeldOutMeeting(a, b);
    },
    mayHave: (fragment, constants) => !needsHeldOut || fragment !== wrong || isHeldOutConstants(fragment, constants),
  };
}

function drawSize(set: SeedlingSet, random: Random): number {
  let left = random.next();
  for (const [index, share] of (set === 'practice' ? practiceSizeShares : sizeShares).entries()) {
    left -= share;
    if (left < 0) return index + 2;
  }
  return 2;
}

function withMore(root: Part, first: Bug, set: SeedlingSet, random: Random): Bug | null {
  if (set === 'practice') return withEvery(root, first, random);
  return random.chance(twoBugShare) ? withSecond(root, first, set, random) : first;
}

/** A bug in every file that has none yet. */
function withEvery(root: Part, first: Bug, random: Random): Bug | null {
  const sites = [...first.sites];
  for (const part of partsOf(root)) {
    if (sites.some((site) => site.part === part)) continue;
    const operator = random.pick(trainOperators(part.fragment).filter((each) => !isTwofold(each)));
    const bug = drawBug(root, part, operator, random);
    if (!bug) return null;
    sites.push(...bug.sites);
  }
  return { operator: first.operator, sites };
}

/** A second bug in another file, of an operator that the set allows there. */
function withSecond(root: Part, first: Bug, set: SeedlingSet, random: Random): Bug | null {
  if (first.sites.length > 1) return first;
  const others = partsOf(root).filter((part) => part !== first.sites[0]?.part);
  const part = random.pick(others);
  const known = trainOperators(part.fragment);
  // In `transfer` what makes the task is the first bug; the second is of a kind that training has there.
  const operator = random.pick(set === 'transfer' ? known.filter((each) => !isTwofold(each)) : known);
  if (isTwofold(operator)) return null;
  const second = drawBug(root, part, operator, random);
  return second && { operator: first.operator, sites: [...first.sites, ...second.sites] };
}

export const pathOfPart = (seedling: Seedling, part: Part): string => pathOf(seedling.names.get(part) as Names);
