/** What the scripted expert knows of a seedling: right lines, and wrong ones that training may show. */
import { Random, seedOf } from '../../core/random.ts';
import type { Task } from '../../core/task.ts';
import { argsFor, isClass, modulesOf, type Part } from './compose.ts';
import { type Names, named } from './names.ts';
import { endless, link, outcomeOf } from './program.ts';
import { pathOfPart, type Seedling, seedlingOf } from './seedlings.ts';
import { heldOutOperators, mutantsOfCode } from './split.ts';

export interface Truth {
  readonly files: ReadonlyMap<string, FileTruth>;
  /** Where the bug sits; a path occurs once for each of its lines. */
  readonly sites: readonly { readonly path: string; readonly line: number }[];
}

export interface FileTruth {
  readonly path: string;
  /** The name that the statement gives to what the file exports: the title of its tests. */
  readonly exported: string;
  /** Lines as the agent finds them, and as they should be. Lines count from 0. */
  readonly found: readonly string[];
  readonly right: readonly string[];
  /** Plausible wrong lines. */
  readonly alternatives: readonly Alternative[];
}

export interface Alternative {
  readonly line: number;
  readonly text: string;
  /** Whether some of a few calls run for ever: a suite that runs out of fuel teaches little and costs much. */
  isEndless(): boolean;
}

/** The truth of a seedling. Throws EspalierError('task') when the task is none. */
export function truthOf(task: Task): Truth {
  return truthOfSeedling(seedlingOf(task));
}

export function truthOfSeedling(seedling: Seedling): Truth {
  const files = new Map<string, FileTruth>();
  for (const [part, names] of seedling.names) {
    const path = pathOfPart(seedling, part);
    const found = linesOf(seedling.task.files[path] as string);
    const right = linesOf(seedling.task.solution[path] ?? (seedling.task.files[path] as string));
    const exported = names.get('f') as string;
    files.set(path, { path, exported, found, right, alternatives: alternativesOf(part, names) });
  }
  const sites = [...files.values()].flatMap(({ path, found, right }) =>
    right.flatMap((text, line) => (text === found[line] ? [] : [{ path, line }])),
  );
  return { files, sites };
}

const linesOf = (text: string): string[] => text.replace(/\n$/, '').split('\n');

function alternativesOf(part: Part, names: Names): Alternative[] {
  const held = heldOutOperators(part.fragment);
  return mutantsOfCode(part.form.code)
    .filter(({ operator }) => !held.has(operator))
    .map(({ line, code }) => ({
      // Each child is one `require` line above the template.
      line: line + part.children.length,
      text: named(code.split('\n')[line] as string, part, names),
      isEndless: () => runsForever(part, code),
    }));
}

function runsForever(part: Part, code: string): boolean {
  const random = new Random(seedOf('seedlings/endless'));
  const exported = link(
    code,
    part.constants,
    modulesOf(part.children, (child) => child.right),
  );
  for (let i = 0; i < 6; i++) {
    if (outcomeOf(exported, argsFor(part, random), isClass(part)) === endless) return true;
  }
  return false;
}
