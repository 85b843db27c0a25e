/** The examples of docs/engine.md, run as one program. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '..', '..');

it('the examples of docs/engine.md run', async () => {
  const page = readFileSync(join(root, 'docs/engine.md'), 'utf8');
  const code = [...page.matchAll(/```ts\n(.*?)```/gs)].map(([, block]) => block).join('\n');
  expect(code).toContain('trainOnRollouts');
  const program = ['--input-type=module-typescript', '--eval', code];
  const { stdout } = await promisify(execFile)(process.execPath, program, { cwd: root });
  expect(stdout).toMatch(/^1280 tokens, context 1024$/m);
  expect(stdout).toMatch(/^\d+ tokens for \d+, gradient norm \d/m);
});
