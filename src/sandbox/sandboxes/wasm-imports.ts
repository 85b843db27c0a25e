/** Which file an ES `import` means. Pure functions on the tree's paths; the guest cannot reach or replace them. */
import type { FileTree } from '../../core/task.ts';
import { internalNames } from './wasm-guest.ts';

/** A file is an ES module by its ending, or by the `type` of the package.json at the root. */
export function isModule(path: string, files: FileTree): boolean {
  if (path.endsWith('.mjs')) return true;
  if (!path.endsWith('.js')) return false;
  return /"type"\s*:\s*"module"/.test(files['package.json'] ?? '');
}

const forTests: Readonly<Record<string, string>> = {
  'node:test': internalNames.test,
  'node:assert': internalNames.countedAssert,
  assert: internalNames.countedAssert,
  'node:assert/strict': internalNames.countedStrict,
  'assert/strict': internalNames.countedStrict,
};
const forOthers: Readonly<Record<string, string>> = {
  'node:assert': internalNames.plainAssert,
  assert: internalNames.plainAssert,
  'node:assert/strict': internalNames.plainStrict,
  'assert/strict': internalNames.plainStrict,
};

/** null when there is no such module for this importer. Test files are loaded by the host only. */
export function resolveImport(base: string, request: string, files: FileTree, tests: readonly string[]): string | null {
  if (!request.startsWith('.')) {
    const table = tests.includes(base) ? forTests : forOthers;
    return Object.hasOwn(table, request) ? (table[request] ?? null) : null;
  }
  const parts = base.split('/').slice(0, -1);
  for (const part of request.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.' && part !== '') parts.push(part);
  }
  const path = parts.join('/');
  return Object.hasOwn(files, path) && isModule(path, files) && !tests.includes(path) ? path : null;
}
