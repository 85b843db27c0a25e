/** The text of a repository: sources, tests, statement. */
import type { FileTree } from '../../core/task.ts';
import type { Bug, Probe, Probes } from './bug.ts';
import { isClass, type Part } from './compose.ts';
import { type Names, named } from './names.ts';
import { literal } from './program.ts';

export const visibleTestPath = 'test/main.test.js';
export const hiddenTestPath = 'test/hidden.test.js';
const manifest = '{\n  "name": "seedling",\n  "private": true,\n  "scripts": { "test": "node --test" }\n}\n';

const textOf = (names: Names, key: string): string => names.get(key) as string;

export const pathOf = (names: Names): string => `src/${textOf(names, 'file')}.js`;

export interface Rendered {
  readonly right: FileTree;
  readonly wrong: FileTree;
  readonly visibleTest: string;
  readonly hiddenTest: string;
  readonly statement: string;
  /** Titles, the same in both test files. */
  readonly titles: readonly string[];
}

/** `order` is that of the statement and of the tests. */
export function render(
  order: readonly Part[],
  names: ReadonlyMap<Part, Names>,
  bug: Bug,
  probes: ReadonlyMap<Part, Probes>,
): Rendered {
  const right: Record<string, string> = {};
  const wrong: Record<string, string> = {};
  const namesOf = (part: Part): Names => names.get(part) as Names;
  for (const part of [...order].sort((a, b) => (pathOf(namesOf(a)) < pathOf(namesOf(b)) ? -1 : 1))) {
    const path = pathOf(namesOf(part));
    const site = bug.sites.find((each) => each.part === part);
    right[path] = sourceText(part, part.form.code, namesOf(part));
    wrong[path] = site ? sourceText(part, site.code, namesOf(part)) : (right[path] as string);
  }
  return {
    right,
    wrong,
    visibleTest: testText(order, names, (part) => (probes.get(part) as Probes).visible),
    hiddenTest: testText(order, names, (part) => (probes.get(part) as Probes).hidden),
    statement: `Repair the code. It must do:\n${order.map((part) => specification(part, namesOf(part))).join('\n')}`,
    titles: order.map((part) => textOf(namesOf(part), 'f')),
  };
}

export const packageFile: FileTree = { 'package.json': manifest };

function sourceText(part: Part, code: string, names: Names): string {
  const imports = part.children.map((_, index) => {
    const module = textOf(names, index === 0 ? 'A' : 'B');
    return `const ${module} = require('./${module}.js');\n`;
  });
  return `${imports.join('')}${named(code, part, names)}\n`;
}

function specification(part: Part, names: Names): string {
  const parameters = /^exports\.\$f = (\(.*?\)) =>/.exec(part.form.code)?.[1] ?? '';
  return `${pathOf(names)} ${named(`$f${parameters}: ${part.form.says}`, part, names)}`;
}

function testText(
  order: readonly Part[],
  names: ReadonlyMap<Part, Names>,
  probesOf: (part: Part) => readonly Probe[],
): string {
  const lines = ["const test = require('node:test');", "const assert = require('node:assert');"];
  for (const part of order) {
    const own = names.get(part) as Names;
    lines.push(`const ${textOf(own, 'file')} = require('../src/${textOf(own, 'file')}.js');`);
  }
  for (const part of order) {
    const own = names.get(part) as Names;
    lines.push('', `test('${textOf(own, 'f')}', () => {`);
    for (const probe of probesOf(part)) lines.push(...assertion(part, own, probe));
    lines.push('});');
  }
  return `${lines.join('\n')}\n`;
}

function assertion(part: Part, names: Names, { args, answer }: Probe): string[] {
  const exported = `${textOf(names, 'file')}.${textOf(names, 'f')}`;
  const wanted = literal(answer);
  const equal = typeof answer === 'object' ? 'deepStrictEqual' : 'strictEqual';
  const list = (values: Probe['args']): string => named(values.map(literal).join(', '), part, names);
  if (!isClass(part)) return [`  assert.${equal}(${exported}(${list(args)}), ${wanted});`];
  const steps = args as readonly (readonly [string, ...Probe['args']])[];
  const calls = steps.map(([method, ...rest]) => `it.${named(method, part, names)}(${list(rest)})`);
  const last = calls.pop() as string;
  return [
    '  {',
    `    const it = new ${exported}();`,
    ...calls.map((each) => `    ${each};`),
    `    assert.${equal}(${last}, ${wanted});`,
    '  }',
  ];
}
