/**
 * A tree of text files in memory with the changes made to it since the start: what every sandbox keeps on the host.
 *
 * Invariants: paths are relative, with forward slashes, without empty, `.` or `..` parts; the total stays within
 * `maxTreeBytes`.
 */
import { EspalierError } from '../core/errors.ts';
import type { FileTree } from '../core/task.ts';

export const maxTreeBytes = 4 * 1024 * 1024;

/** Null when the path is fine, else what is wrong with it. */
export function pathFault(path: string): string | null {
  if (path === '') return 'it is empty';
  if (path.length > 255) return 'it is longer than 255 characters';
  if (path.includes('\\') || path.includes('\0')) return 'it has a character that paths may not have';
  const parts = path.split('/');
  return parts.some((part) => part === '' || part === '.' || part === '..') ? 'it leaves the tree' : null;
}

export class Tree {
  readonly #start: ReadonlyMap<string, string>;
  readonly #files: Map<string, string>;
  #chars = 0;

  constructor(files: FileTree) {
    this.#files = new Map();
    for (const [path, text] of Object.entries(files)) this.write(path, text);
    this.#start = new Map(this.#files);
  }

  list(): readonly string[] {
    return [...this.#files.keys()].sort();
  }

  read(path: string): string | null {
    return this.#files.get(path) ?? null;
  }

  write(path: string, text: string): void {
    const fault = pathFault(path);
    if (fault !== null) throw new EspalierError('sandbox', `cannot write '${path.slice(0, 80)}': ${fault}`);
    const size = this.#chars + text.length - (this.#files.get(path)?.length ?? 0);
    if (size > maxTreeBytes) {
      throw new EspalierError(
        'sandbox',
        `cannot write '${path}': the tree would hold ${size} characters, over ${maxTreeBytes}`,
      );
    }
    this.#chars = size;
    this.#files.set(path, text);
  }

  diff(): Readonly<Record<string, string | null>> {
    const changes: [string, string | null][] = [];
    for (const [path, text] of this.#files) if (this.#start.get(path) !== text) changes.push([path, text]);
    for (const path of this.#start.keys()) if (!this.#files.has(path)) changes.push([path, null]);
    return Object.fromEntries(changes.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** A copy that later writes do not reach. */
  snapshot(): FileTree {
    return Object.fromEntries(this.#files);
  }
}
