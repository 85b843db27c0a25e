/**
 * Takes the figures of docs/performance.md again, on this machine: each stretch between `<!-- bench ARGUMENTS -->` and
 * `<!-- end -->` becomes what `espalier bench ARGUMENTS --markdown` prints.
 *
 *   node scripts/performance-page.ts              all of them
 *   node scripts/performance-page.ts trie torch   those
 *
 * The page is written after each one, so that what was measured is kept when a later one fails. `bench torch` takes the
 * `python3` of the path.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const page = join(root, 'docs', 'performance.md');
const stretch = /<!-- bench ([^\n]+?) -->\n.*?<!-- end -->/gs;

const wanted = process.argv.slice(2);
const all = [...readFileSync(page, 'utf8').matchAll(stretch)].map(([, given]) => given as string);
const chosen = all.filter((given) => wanted.length === 0 || wanted.includes(given.split(' ')[0] as string));
if (chosen.length === 0) throw new Error(`no such benchmark: the page has ${all.join(', ')}`);
for (const given of chosen) {
  const command = [join(root, 'src', 'cli', 'espalier.ts'), 'bench', ...given.split(' '), '--markdown'];

  const figures = execFileSync(process.execPath, command, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const put = `<!-- bench ${given} -->\n\n${figures.trim()}\n\n<!-- end -->`;
  const text = readFileSync(page, 'utf8');
  writeFileSync(
    page,
    text.replace(stretch, (old, own) => (own === given ? put : old)),
  );
}
