/**
 * Ends a run at a moment that a random number chooses, and tells two runs apart.
 *
 * Moments are counted in bytes that the run has written, of its store or of its whole directory, so that they fall into
 * any part of a run on a machine of any speed; what the clock chooses within is a few milliseconds.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { RolloutId } from '../../src/core/ids.ts';
import type { Random } from '../../src/core/random.ts';
import { storeDirectory } from '../../src/trajectory/journal.ts';
import type { TurnRecord } from '../../src/trajectory/records.ts';
import { type RunIndex, readRun } from '../../src/trajectory/run-index.ts';
import { type Ended, rowsOf, startEspalier } from './run-fixture.ts';

export interface Stopped extends Ended {
  /** Processes that it had started and that were still there when it was gone, after a while. */
  readonly orphans: readonly number[];
}

/**
 * Starts `espalier ARGS` in `folder` and sends it a signal once `isTime` says so, or lets it end. SIGINT goes to its whole
 * process group, as Ctrl-C does.
 */
export async function stopWhen(
  folder: string,
  args: readonly string[],
  signal: NodeJS.Signals,
  isTime: () => boolean,
  delayMs = 0,
): Promise<Stopped> {
  const { child, ended } = startEspalier(folder, args, { ownGroup: signal === 'SIGINT' });
  while (child.exitCode === null && !isTime()) await wait(5);
  await wait(delayMs);
  const children = childrenOf(child.pid as number);
  if (signal === 'SIGINT') process.kill(-(child.pid as number), signal);
  else child.kill(signal);
  const result = await ended;
  return { ...result, orphans: await remaining(children) };
}

/** A moment between what the run has written and what an undisturbed one writes. */
export function randomMoment(run: string, undisturbed: string, random: Random): () => boolean {
  return momentOf(run, undisturbed, random.chance(0.7) ? 'store' : '.', random.next());
}

/** Once the run has written a share, 0 to 1, of what it still has to write, in one of its folders. */
export function momentOf(run: string, undisturbed: string, part: string, share: number): () => boolean {
  const now = bytesBelow(join(run, part));
  const threshold = now + share * Math.max(0, bytesBelow(join(undisturbed, part)) - now);
  return () => bytesBelow(join(run, part)) > threshold;
}

function bytesBelow(folder: string): number {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
  } catch {
    // Not there yet, or a file was renamed in between.
    return 0;
  }
}

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  } catch {
    return [];
  }
}

async function remaining(pids: readonly number[]): Promise<number[]> {
  for (let tries = 0; tries < 1000 && pids.some(isRunning); tries++) await wait(10);
  return pids.filter(isRunning);
}

function isRunning(pid: number): boolean {
  try {
    // After the name in parentheses: a zombie has ended, whoever is to collect it.
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** The record of a run that nobody writes. */
export const recordOf = (run: string): Promise<RunIndex> => readRun(storeDirectory(run));

/** Turns of `before` that `after` does not have, has otherwise, or has twice. */
export function lostTurns(before: RunIndex, after: RunIndex): string[] {
  return before.rollouts().flatMap((rollout) =>
    before.turns(rollout).flatMap((turn) => {
      const same = after.turns(rollout).filter(({ index }) => index === turn.index);
      return same.length === 1 && text(same[0] as TurnRecord) === text(turn) ? [] : [`${rollout}/turn/${turn.index}`];
    }),
  );
}

/** In how far a run is another than an undisturbed one, but for the seconds that things took. Empty when it is not. */
export async function differences(run: string, undisturbed: string): Promise<string[]> {
  const [record, expected] = [await recordOf(run), await recordOf(undisturbed)];
  return [
    ...lostTurns(expected, record).map((turn) => `${turn} is missing or other`),
    ...lostTurns(record, expected).map((turn) => `${turn} is too many or other`),
    ...unequal('outcomes', byRollout(record.outcomes), byRollout(expected.outcomes)),
    ...unequal('verdicts', byRollout(record.verdicts), byRollout(expected.verdicts)),
    ...unequal('manifests', record.manifests, expected.manifests),
    ...unequal('versions', record.versions, expected.versions),
    ...['metrics.jsonl', 'eval.jsonl'].flatMap((name) => unequal(name, rowsOf(run, name), rowsOf(undisturbed, name))),
    ...unequal('summary.json', jsonOf(run, 'summary.json'), jsonOf(undisturbed, 'summary.json')),
    ...differentFiles(join(run, 'checkpoints'), join(undisturbed, 'checkpoints')),
  ];
}

function differentFiles(folder: string, expected: string): string[] {
  const names = (of: string) => readdirSync(of, { recursive: true }).map(String).sort();
  const wanted = names(expected);
  const bytes = (path: string) => (statSync(path).isFile() ? readFileSync(path).toString('base64') : null);
  return [
    ...unequal('checkpoints', names(folder), wanted),
    ...wanted.filter((name) => bytes(join(folder, name)) !== bytes(join(expected, name))),
  ];
}

const byRollout = <T>(map: ReadonlyMap<RolloutId, T>): [RolloutId, T][] =>
  [...map].sort(([a], [b]) => (a < b ? -1 : 1));

const jsonOf = (run: string, name: string): unknown => JSON.parse(readFileSync(join(run, name), 'utf8'));

function unequal(name: string, a: unknown, b: unknown): string[] {
  return text(a) === text(b) ? [] : [name];
}

/** JSON without what clocks say. Typed arrays are written out, floats in full. */
function text(value: unknown): string {
  return JSON.stringify(value, (key, each: unknown) => (key === 'seconds' ? undefined : each));
}
