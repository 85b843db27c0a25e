/**
 * The house rules that a compiler does not check: who may import whom, how long files are, where languages live.
 *
 * Covered: static, dynamic and type-only imports, re-exports, and worker files named by `new URL('...', import.meta.url)`.
 * Not covered: paths that are computed at run time. Tests themselves may import anything.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative, sep } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAst } from 'vitest/node';

const root = join(import.meta.dirname, '..');

/** `room` allows the whole folder, `room/file.ts` that file only: how an interface is used without its kinds. */
const engineInterface = 'engine/engine.ts';
const layers: Readonly<Record<string, readonly string[] | 'any'>> = {
  core: [],
  trie: ['core'],
  schedule: ['core'],
  native: ['core'],
  tokens: ['core'],
  dialects: ['core'],
  store: ['core'],
  trajectory: ['core', 'trie', 'tokens', 'store'],
  engine: ['core', 'trie', 'native', 'tokens', 'dialects'],
  proxy: ['core', 'dialects', 'tokens', 'trajectory', engineInterface],
  sandbox: ['core'],
  tasks: ['core', 'sandbox'],
  harness: ['core', 'sandbox'],
  rollout: ['core', 'schedule', 'sandbox', 'tasks', 'harness'],
  learn: ['core', 'trie', 'tokens', 'trajectory', engineInterface],
  host: ['core', 'engine'],
  report: ['core', 'store', 'trajectory'],
  run: [
    ...['core', 'trie', 'schedule', 'native', 'tokens', 'dialects', 'store', 'trajectory', 'engine', 'proxy'],
    ...['sandbox', 'tasks', 'harness', 'rollout', 'learn', 'host', 'report'],
  ],
  bench: ['core', 'native', 'engine', 'learn', 'trajectory', 'report', 'run'],
  api: 'any',
  cli: 'any',
};

/** Tables and public types may be long; each has its reason. */
const longFiles: Readonly<Record<string, string>> = {};
const maxLines = 400;
const maxMedianLines = 150;

/** Where each language may live; a folder that is not named holds none of it. */
const languages = [
  { name: 'C++', extension: /\.(cc|cpp|cxx|c|h|hpp)$/, folders: ['native/'] },
  { name: 'Python', extension: /\.(py|pyi|ipynb)$/, folders: ['python/', 'bench/torch/', 'test/parity/'] },
];

const skippedFolders = new Set(['node_modules', 'dist', 'coverage', 'runs', 'build', '__pycache__']);

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      return skippedFolders.has(entry.name) || entry.name.startsWith('.') ? [] : filesBelow(path);
    }
    return [relative(root, path).split(sep).join('/')];
  });
}

/** The fields of a syntax node that are looked at; which of them are there depends on `type`. */
interface Syntax {
  readonly type: string;
  readonly source?: unknown;
  readonly value?: unknown;
  readonly callee?: unknown;
  readonly name?: unknown;
  readonly arguments?: readonly unknown[];
}

const isSyntax = (value: unknown): value is Syntax =>
  typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';

function visit(value: unknown, seen: (syntax: Syntax) => void): void {
  if (Array.isArray(value)) {
    for (const element of value) visit(element, seen);
  } else if (isSyntax(value)) {
    seen(value);
    for (const child of Object.values(value)) visit(child, seen);
  }
}

const textOf = (value: unknown): string[] =>
  isSyntax(value) && value.type === 'Literal' && typeof value.value === 'string' ? [value.value] : [];

function importsOf(syntax: Syntax): string[] {
  switch (syntax.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
    case 'ImportExpression':
    case 'TSImportType':
      return textOf(syntax.source);
    case 'NewExpression':
      return isSyntax(syntax.callee) && syntax.callee.name === 'URL'
        ? textOf(syntax.arguments?.[0]).filter((url) => url.endsWith('.ts'))
        : [];
    default:
      return [];
  }
}

interface Source {
  /** From `src/`, e.g. `core/ids.ts`. */
  readonly path: string;
  readonly lines: number;
  /** Files of `src/` that it imports, from `src/`. */
  readonly imports: readonly string[];
  /** How often it says `any`. */
  readonly anyCount: number;
}

function readSource(path: string): Source {
  const text = readFileSync(join(root, 'src', path), 'utf8');
  const imports: string[] = [];
  let anyCount = 0;
  visit(parseAst(text, { lang: 'ts' }), (syntax) => {
    imports.push(...importsOf(syntax));
    if (syntax.type === 'TSAnyKeyword') anyCount += 1;
  });
  return {
    path,
    lines: text.split('\n').length - 1,
    imports: imports.filter((name) => name.startsWith('.')).map((name) => posix.join(dirname(path), name)),
    anyCount,
  };
}

const everyFile = filesBelow(root);
const sources = everyFile
  .filter((path) => path.startsWith('src/') && path.endsWith('.ts') && !path.endsWith('.test.ts'))
  .map((path) => readSource(path.slice('src/'.length)));

const roomOf = (path: string): string => path.split('/')[0] ?? '';

function isAllowed(from: string, to: string): boolean {
  if (to.startsWith('../')) return to === '../package.json';
  const room = roomOf(from);
  if (room === 'index.ts' || room === roomOf(to)) return true;
  const allowed = layers[room] ?? [];
  return allowed === 'any' || allowed.includes(roomOf(to)) || allowed.includes(to);
}

describe('the layer table', () => {
  it('has a row for every folder of src, and src holds folders and its public entry only', () => {
    const unknown = sources.map(({ path }) => path).filter((path) => !(roomOf(path) in layers) && path !== 'index.ts');
    expect(unknown).toEqual([]);
  });

  it('allows every import that is made', () => {
    const forbidden = sources.flatMap(({ path, imports }) =>
      imports.filter((to) => !isAllowed(path, to)).map((to) => `src/${path} imports src/${to}`),
    );
    expect(forbidden).toEqual([]);
  });

  it('lets no two rooms need each other', () => {
    const open = new Map(Object.entries(layers).filter(([, allowed]) => allowed !== 'any'));
    for (let before = -1; before !== open.size; ) {
      before = open.size;
      for (const [room, allowed] of open) {
        if (allowed !== 'any' && allowed.every((to) => !open.has(roomOf(to)))) open.delete(room);
      }
    }
    expect([...open.keys()]).toEqual([]);
  });

  it.each([
    ['core/ids.ts', 'trie/trie.ts', false],
    ['proxy/server.ts', 'engine/engine.ts', true],
    ['proxy/server.ts', 'engine/engines/embedded.ts', false],
    ['cli/train.ts', 'engine/engines/embedded.ts', true],
    ['report/report.ts', 'run/loop.ts', false],
    ['trie/trie.ts', 'trie/match.ts', true],
    ['run/loop.ts', '../test/reporter.ts', false],
  ])('judges %s importing %s as %s', (from, to, allowed) => {
    expect(isAllowed(from, to)).toBe(allowed);
  });
});

describe('sources', () => {
  it('fit in one sitting: none over 400 lines, half under 150', () => {
    const long = sources.filter(({ path, lines }) => lines > maxLines && !(path in longFiles));
    expect(long.map(({ path, lines }) => `src/${path} has ${lines} lines`)).toEqual([]);
    const lengths = sources.map(({ lines }) => lines).sort((a, b) => a - b);
    expect(lengths[Math.floor(lengths.length / 2)]).toBeLessThan(maxMedianLines);
  });

  it('name only long files that are there', () => {
    expect(Object.keys(longFiles).filter((path) => !sources.some((source) => source.path === path))).toEqual([]);
  });

  it('have no drawer for things without a place', () => {
    const drawers = /(^|\/)(utils?|helpers?|common|misc)(\/|\.ts$)|^(types|constants)\.ts$/;
    expect(sources.map(({ path }) => path).filter((path) => drawers.test(path))).toEqual([]);
  });

  it('never say any', () => {
    expect(sources.filter(({ anyCount }) => anyCount > 0).map(({ path }) => `src/${path}`)).toEqual([]);
  });
});

describe('languages', () => {
  it.each(languages)('$name lives in its own folders only', ({ extension, folders }) => {
    const strays = everyFile.filter(
      (path) => extension.test(path) && !folders.some((folder) => path.startsWith(folder)),
    );
    expect(strays).toEqual([]);
  });
});
