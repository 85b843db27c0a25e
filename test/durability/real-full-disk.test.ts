/** The writer on real file systems that are full: a small tmpfs, and a limit of the process. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'espalier-disk-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const script = new URL('fill-disk.ts', import.meta.url).pathname;
const inOwnMounts = ['--user', '--map-root-user', '--mount'];
const canMount = spawnSync('unshare', [...inOwnMounts, 'mount', '-t', 'tmpfs', 'none', tmpdir()]).status === 0;

interface Filled {
  readonly acknowledged: number;
  readonly refused: string;
  readonly stillRefused: string;
  readonly afterwards: number;
  readonly found: number;
}

function run(command: string, args: readonly string[]): Filled {
  const { stdout, stderr, status } = spawnSync(command, args, { encoding: 'utf8', timeout: 60_000 });
  expect([status, stderr]).toEqual([0, '']);
  return JSON.parse(stdout);
}

describe('a real disk that is full', () => {
  it.skipIf(!canMount)('acknowledges nothing that it does not have, and goes on when there is room', () => {
    const shell = `mount -t tmpfs -o size=1m none "$0" && exec "$1" "$2" "$0"`;
    const result = run('unshare', [...inOwnMounts, 'sh', '-c', shell, folder, process.execPath, script]);
    expect(result.refused).toMatch(/ENOSPC.*: the disk is full; free space/);
    expect(result.stillRefused).toMatch(/the disk is full/);
    expect(result.acknowledged).toBeGreaterThan(50);
    expect(result.afterwards).toBe(100);
    expect(result.found).toBe(result.acknowledged + result.afterwards);
  });

  it('says so when a limit of the process is what stops it', () => {
    const result = run('sh', ['-c', 'ulimit -f 400 && exec "$0" "$1" "$2"', process.execPath, script, folder]);
    expect(result.refused).toMatch(/EFBIG.*: the disk is full; free space/);
    expect(result.acknowledged).toBeGreaterThan(50);
    expect(result.found).toBe(result.acknowledged + result.afterwards);
  });
});
