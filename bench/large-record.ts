/**
 * Memory and time of `espalier inspect` and `export` on records of two sizes, the second ten times the first.
 *
 *   node bench/large-record.ts [--turns 100000]
 *
 * Measures: the peak resident memory of each command, a process of its own, and its wall time, first without an index, then
 * with one; beside them the size of the record and the time to read it all. Memory is flat when both sizes need about the
 * same.
 * Does not measure: disks (the record is in the page cache), agents, or what samples cost whoever reads them.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { groupId, rolloutId, taskId } from '../src/core/ids.ts';
import { Random, seedOf } from '../src/core/random.ts';
import { readFrames } from '../src/store/reader.ts';
import { Journal, storeDirectory } from '../src/trajectory/journal.ts';
import { indexPath } from '../src/trajectory/record-index.ts';
import { turnOf } from '../test/durability/kill-points.ts';

const { values } = parseArgs({ options: { turns: { type: 'string', default: '100000' } } });
const most = Number(values.turns);
if (!Number.isSafeInteger(most) || most < 1000) throw new Error(`--turns ${values.turns}: give a number from 1000`);
const turnsARollout = 10;
const espalier = new URL('../src/cli/espalier.ts', import.meta.url).pathname;
const folder = await mkdtemp(join(tmpdir(), 'espalier-large-'));

console.log('| turns | record MiB | command | index | seconds | peak MiB |');
console.log('| ---: | ---: | --- | --- | ---: | ---: |');
for (const turns of [most / 10, most]) {
  const run = join(folder, String(turns));
  await write(run, turns);
  const store = storeDirectory(run);
  const mebibytes = bytesOf(store) / 2 ** 20;
  const line = (command: string, index: string, { seconds, peak }: { seconds: number; peak: number | null }) =>
    console.log(
      `| ${turns} | ${mebibytes.toFixed(0)} | ${command} | ${index} | ${seconds.toFixed(1)} | ${peak?.toFixed(0) ?? '-'} |`,
    );
  const startedAt = performance.now();
  for await (const _ of readFrames(store));
  line('(reading it all)', '-', { seconds: (performance.now() - startedAt) / 1000, peak: null });
  line('inspect', 'none', measure('inspect', run));
  line('inspect', 'there', measure('inspect', run));
  const last = rolloutId(groupId('batch/0', turns / turnsARollout - 1), 0);
  line('inspect --rollout', 'there', measure('inspect', run, '--rollout', last));
  line(
    'export samples.jsonl',
    'there',
    measure('export', run, '--format', 'samples', '--out', join(folder, 'a.jsonl')),
  );
  await rm(indexPath(store), { force: true });
}
await rm(folder, { recursive: true });

async function write(run: string, turns: number): Promise<void> {
  const journal = await Journal.open(run);
  for (let at = 0; at < turns / turnsARollout; at++) {
    const rollout = rolloutId(groupId('batch/0', at), 0);
    const random = new Random(seedOf(rollout));
    const written: Promise<void>[] = [];
    for (let index = 0; index < turnsARollout; index++) {
      const { turn, blocks } = turnOf(rollout, index, random);
      written.push(journal.appendTurn(turn, blocks));
    }
    const [outcome, task] = [{ status: 'completed' } as const, taskId('bench')];
    written.push(journal.append({ type: 'outcome', rollout, outcome, task, facts: null, attempts: 1, seconds: 1 }));
    if (at % 100 === 99 || at === turns / turnsARollout - 1) await Promise.all(written);
  }
  await journal.close();
}

function bytesOf(directory: string): number {
  return readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}

function measure(...args: readonly string[]): { readonly seconds: number; readonly peak: number } {
  const peak = `process.on('exit', () => process.stderr.write('peak ' + process.resourceUsage().maxRSS))`;
  const flags = ['--import', `data:text/javascript,${encodeURIComponent(peak)}`];
  const startedAt = performance.now();
  const ended = spawnSync(process.execPath, [...flags, espalier, ...args], { encoding: 'utf8', maxBuffer: 1 << 30 });
  const seconds = (performance.now() - startedAt) / 1000;
  if (ended.status !== 0) throw new Error(`espalier ${args.join(' ')} ended with ${ended.status}: ${ended.stderr}`);
  // Kibibytes.
  return { seconds, peak: Number(/peak (\d+)/.exec(ended.stderr)?.[1]) / 1024 };
}
