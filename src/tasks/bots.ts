/**
 * Bots without understanding: what they solve is the floor that a learned policy has to leave behind.
 *
 * Covered: doing nothing, the oracle, editing from the statement alone with a memory of training, and repairing what
 * looks most like a bug without statement or tests.
 * Not covered: a bot that rewrites whole files blindly. With enough edits a perfect memory of the program fragments
 * needs no reading; `blindEdits` bounds the blind bot to what fits in the turns of a rollout of ordinary length.
 */
import type { Random } from '../core/random.ts';
import type { FileTree, Task } from '../core/task.ts';

/** What leaves the sandbox: changed paths with their text. */
export type Bot = (task: Task, random: Random) => FileTree;

export const idleBot: Bot = () => ({});

export const oracleBot: Bot = (task) => task.solution;

const blindEdits = 3;

const linesOf = (text: string): string[] => text.split('\n');
const wordsOf = (text: string): string[] => text.match(/[A-Za-z_]\w*|\d+|'[^']*'|[^\s\w']+/g) ?? [];
const isVariable = (word: string): boolean => /^[A-Za-z_'\d]/.test(word);

/** The source files of a task as they should be. */
const rightSources = (task: Task): [string, string][] =>
  Object.entries({ ...task.files, ...task.solution }).filter(([path]) => path.startsWith('src/'));

/** One line of a statement: a file and what it must do. */
function specifications(task: Task): { path: string; words: string[] }[] {
  return linesOf(task.statement).flatMap((line) => {
    const [path = '', ...rest] = line.split(' ');
    return path.startsWith('src/') ? [{ path, words: wordsOf(rest.join(' ')) }] : [];
  });
}

/** A specification without its names and numbers, keyed by the words that training shares. */
function skeleton(words: readonly string[], common: ReadonlySet<string>): string {
  return words.map((word) => (isVariable(word) && !common.has(word) ? '_' : word)).join(' ');
}

/**
 * Never reads: it remembers the code of training tasks by the shape of their specification, carries names and numbers
 * over, and replaces lines of files it has not seen.
 */
export function blindBot(training: readonly Task[]): Bot {
  const counts = new Map<string, number>();
  for (const task of training) {
    for (const { words } of specifications(task)) {
      for (const word of new Set(words)) counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  const common = new Set(
    [...counts].filter(([word, count]) => count > training.length / 60 && !/^\d/.test(word)).map(([word]) => word),
  );
  const memory = new Map<string, { words: string[]; lines: string[] }>();
  for (const task of training) {
    const sources = new Map(rightSources(task));
    for (const { path, words } of specifications(task)) {
      memory.set(skeleton(words, common), { words, lines: linesOf(sources.get(path) ?? '') });
    }
  }
  return (task, random) => {
    const files = new Map(Object.entries(task.files).map(([path, text]) => [path, linesOf(text)]));
    const changed = new Set<string>();
    for (let i = 0; i < blindEdits; i++) {
      const { path, words } = random.pick(specifications(task));
      const known = memory.get(skeleton(words, common));
      if (!known) continue;
      const carried = new Map(known.words.map((word, index) => [word, words[index] as string]));
      const at = random.below(Math.max(1, known.lines.length - 2));
      const line = (known.lines[at] as string).replace(
        /[A-Za-z_]\w*|\d+|'[^']*'/g,
        (word) => carried.get(word) ?? word,
      );
      const lines = files.get(path);
      if (lines && at < lines.length) lines[at] = line;
      changed.add(path);
    }
    return Object.fromEntries([...changed].map((path) => [path, (files.get(path) ?? []).join('\n')]));
  };
}

/** What a repair replaced, and by what, in the words that differ. */
interface Change {
  readonly from: string;
  readonly to: string;
}

function changeBetween(wrong: string, right: string): Change | null {
  const [from, to] = [wordsOf(wrong), wordsOf(right)];
  while (from.length > 0 && to.length > 0 && from[0] === to[0]) {
    from.shift();
    to.shift();
  }
  while (from.length > 0 && to.length > 0 && from.at(-1) === to.at(-1)) {
    from.pop();
    to.pop();
  }
  // Names and most numbers are drawn anew for each task, and an insertion could stand anywhere.
  return from.length === 1 && to.length === 1 ? { from: from[0] as string, to: to[0] as string } : null;
}

function* linePairs(task: Task): Generator<[string, string]> {
  for (const [path, text] of Object.entries(task.solution)) {
    const wrong = linesOf(task.files[path] ?? '');
    for (const [index, line] of linesOf(text).entries()) if (line !== wrong[index]) yield [wrong[index] ?? '', line];
  }
}

/**
 * Reads the code, but neither statement nor tests: undoes whatever was most often a bug where it occurred in training.
 */
export function commonestFixBot(training: readonly Task[]): Bot {
  const repairs = new Map<string, { change: Change; count: number }>();
  const occurrences = new Map<string, number>();
  for (const task of training) {
    const words = new Set(
      Object.entries(task.files).flatMap(([path, text]) => (path.startsWith('src/') ? wordsOf(text) : [])),
    );
    for (const word of words) occurrences.set(word, (occurrences.get(word) ?? 0) + 1);
    for (const [wrong, right] of linePairs(task)) {
      const change = changeBetween(wrong, right);
      if (!change) continue;
      const key = `${change.from} ${change.to}`;
      repairs.set(key, { change, count: (repairs.get(key)?.count ?? 0) + 1 });
    }
  }
  const share = ({ change, count }: { change: Change; count: number }): number =>
    count / (occurrences.get(change.from) ?? 1);
  const ordered = [...repairs.values()].filter(({ count }) => count > 2).sort((a, b) => share(b) - share(a));
  return (task, random) => {
    const sources = Object.entries(task.files).filter(([path]) => path.startsWith('src/'));
    for (const [path, text] of sources) {
      if (/return;/.test(text)) return { [path]: text.replace('return;', `return ${lastResult(text)};`) };
    }
    for (const { change } of ordered) {
      const places = sources.flatMap(([path, text]) =>
        [...text.matchAll(/[A-Za-z_]\w*|\d+|'[^']*'|[^\s\w']+/g)]
          .filter(([word]) => word === change.from)
          .map(({ index }) => ({ path, text, index })),
      );
      if (places.length === 0) continue;
      const { path, text, index } = random.pick(places);
      return { [path]: text.slice(0, index) + change.to + text.slice(index + change.from.length) };
    }
    return {};
  };
}

/** The name that was declared first: what a function without a result most likely meant to return. */
const lastResult = (text: string): string => /(?:let|const) (\w+) = (?!require)/.exec(text)?.[1] ?? '0';
