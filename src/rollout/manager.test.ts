import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EspalierError } from '../core/errors.ts';
import { Random, seedOf } from '../core/random.ts';
import { taskResults, workFigures } from './evaluation.ts';
import { type Deed, type FakeOptions, fakeSettings, fakeTask, fakeWorld } from './fake-services.ts';
import { type CollectOptions, collectBatch, evaluate } from './manager.ts';
import type { FinishedRollout } from './rollout.ts';

const groupSize = 3;

function collectOptions(options: FakeOptions, change: Partial<CollectOptions> = {}) {
  const world = fakeWorld(options);
  const collect: CollectOptions = {
    services: world.services,
    settings: fakeSettings,
    runSeed: 1,
    concurrency: 4,
    maxFailures: 2,
    signal: new AbortController().signal,
    scope: 'step/7',
    draw: (draw) => fakeTask(`task/${draw}`),
    groups: 3,
    groupSize,
    maxDraws: 20,
    ...change,
  };
  return { world, collect };
}

const drawOf = (rollout: string) => Number(rollout.split('/')[3]);
const indexOf = (rollout: string) => Number(rollout.split('/')[5]);
/** Draws in `equal` have no signal; in all others rollout 0 alone solves. */
const deeds =
  (equal: readonly number[]) =>
  (rollout: string): Deed =>
    !equal.includes(drawOf(rollout)) && indexOf(rollout) === 0 ? 'solve' : 'give up';

const idsOf = (groups: readonly { readonly id: string }[]) => groups.map(({ id }) => id);

describe('a batch', () => {
  test('is the first informative groups, with one more draw for each that was dropped', async () => {
    const { collect } = collectOptions({ deed: deeds([0, 3]) });
    const batch = await collectBatch(collect);
    expect(idsOf(batch.informative)).toEqual(['step/7/group/1', 'step/7/group/2', 'step/7/group/4']);
    expect(idsOf(batch.launched).length).toBe(5);
    expect(batch).toMatchObject({ droppedGroups: 2, failures: 0 });
    expect(batch.informative[0]?.task.id).toBe('task/1');
  });

  test('does not depend on which rollout ends first', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const random = new Random(seedOf('equal', seed));
        const equal = Array.from({ length: 30 }, (_, draw) => draw).filter(() => random.chance(0.5));
        const least = firstDraws(equal, 3);
        const runs = await Promise.all(
          [1, 2, 5].map((concurrency) => {
            const timing = new Random(seedOf('timing', seed, concurrency));
            const deed = async (rollout: string) => {
              for (let wait = timing.below(6); wait > 0; wait--) await Promise.resolve();
              return deeds(equal)(rollout);
            };
            return collectBatch(collectOptions({ deed }, { concurrency }).collect);
          }),
        );
        for (const run of runs) {
          expect(run).toEqual(runs[0]);
          expect(run.launched.length).toBe(Math.min(20, least));
        }
      }),
      { numRuns: 60 },
    );
  });

  test('ends smaller at the most draws', async () => {
    const { collect } = collectOptions({ deed: () => 'solve' }, { maxDraws: 5 });
    const batch = await collectBatch(collect);
    expect(batch).toMatchObject({ informative: [], droppedGroups: 5 });
  });

  test('runs no more rollouts at once than allowed, and starts them in draw order', async () => {
    const { collect, world } = collectOptions({ deed: deeds([]) }, { concurrency: 2 });
    await collectBatch(collect);
    expect(world.open.most).toBe(2);
    expect(world.started.map(drawOf)).toEqual(world.started.map(drawOf).toSorted((a, b) => a - b));
  });

  test('gives each rollout a seed of its own, which depends on the run', async () => {
    const seedsOf = async (runSeed: number) => {
      const { collect, world } = collectOptions({ deed: deeds([]) }, { runSeed });
      await collectBatch(collect);
      return [...world.seeds.values()];
    };
    const [first, again, other] = [await seedsOf(1), await seedsOf(1), await seedsOf(2)];
    expect(new Set(first).size).toBe(9);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });

  test('drops a group that infrastructure took, draws another, and counts the failed rollouts apart', async () => {
    const deed = (rollout: string): Deed =>
      drawOf(rollout) === 1 && indexOf(rollout) === 2
        ? { status: 'failed', boundary: 'sandbox', message: 'broke' }
        : deeds([])(rollout);
    const batch = await collectBatch(collectOptions({ deed }).collect);
    expect(batch).toMatchObject({ failures: 1, droppedGroups: 0 });
    expect(idsOf(batch.informative)).toEqual(['step/7/group/0', 'step/7/group/2', 'step/7/group/3']);
  });

  test('stops with the last failure when infrastructure takes too many groups', async () => {
    const deed = (): Deed => new EspalierError('engine', 'the engine is gone');
    const { collect, world } = collectOptions({ deed });
    await expect(collectBatch(collect)).rejects.toMatchObject({ boundary: 'engine', message: /the engine is gone/ });
    expect(world.open).toMatchObject({ sessions: 0, sandboxes: 0 });
  });

  test('stops at once when nothing can be kept', async () => {
    const deed = (): Deed => new EspalierError('store', 'the disk is full');
    const { collect, world } = collectOptions({ deed }, { concurrency: 1 });
    await expect(collectBatch(collect)).rejects.toThrow(/the disk is full/);
    expect(world.started.length).toBe(1);
  });

  test('stops when the signal is aborted, after its rollouts have ended, and reports none of the cut ones', async () => {
    const stop = new AbortController();
    const reported: string[] = [];
    const deed = (rollout: string): Deed => {
      if (drawOf(rollout) === 1) stop.abort(new Error('stopped by the user'));
      return 'solve';
    };
    const { collect, world } = collectOptions(
      { deed },
      { signal: stop.signal, concurrency: 1, onRollout: ({ id }) => void reported.push(id) },
    );
    await expect(collectBatch(collect)).rejects.toThrow('stopped by the user');
    expect(reported.map(drawOf)).toEqual([0, 0, 0]);
    expect(world.open.sessions).toBe(0);
  });

  test('stops when a rollout cannot be recorded', async () => {
    const onRollout = () => Promise.reject(new EspalierError('store', 'the disk is full'));
    const { collect } = collectOptions({ deed: deeds([]) }, { onRollout });
    await expect(collectBatch(collect)).rejects.toThrow('the disk is full');
  });

  test('is the same when resumed from any of its records, and runs only the rest', async () => {
    const finished = new Map<string, FinishedRollout>();
    const whole = await collectBatch(
      collectOptions({ deed: deeds([1]) }, { onRollout: (rollout) => void finished.set(rollout.id, rollout) }).collect,
    );
    for (const kept of [0, 4, 7, 12]) {
      const record = new Map([...finished].slice(0, kept));
      const { collect, world } = collectOptions({ deed: deeds([1]) }, { recorded: (id) => record.get(id) });
      expect(await collectBatch(collect)).toEqual(whole);
      expect(world.started.length).toBe(12 - kept);
    }
  });
});

/** The least number of draws that hold `wanted` informative ones. */
function firstDraws(equal: readonly number[], wanted: number): number {
  let draws = 0;
  for (let found = 0; found < wanted; draws++) if (!equal.includes(draws)) found++;
  return draws;
}

describe('an evaluation', () => {
  const tasks = ['clamp', 'sum', 'clamp'].map(fakeTask);

  test('counts passes a task, and failures of infrastructure in no rate', async () => {
    const deed = (rollout: string): Deed => {
      if (rollout.startsWith('eval/4/unseen/sampled/group/1'))
        return { status: 'failed', boundary: 'provider', message: 'x' };
      return rollout.endsWith('group/2/rollout/1') ? 'give up' : 'solve';
    };
    const { collect } = collectOptions({ deed });
    const { groups, failures } = await evaluate({
      ...collect,
      scope: 'eval/4/unseen/sampled',
      tasks,
      rolloutsPerTask: 2,
    });
    expect(failures).toBe(2);
    expect(taskResults(groups)).toEqual([
      { cluster: 'clamp', passes: 2, rollouts: 2 },
      { cluster: 'sum', passes: 0, rollouts: 0 },
      { cluster: 'clamp', passes: 1, rollouts: 2 },
    ]);
    expect(workFigures(groups)).toMatchObject({ rollouts: 4, passRate: 0.75, turnsMean: 3, turns: 12, exactTurns: 12 });
    expect(workFigures(groups).parallelShare).toBeCloseTo(1 / 3, 12);
  });

  test('without graded rollouts has no rates, not an error', () => {
    expect(workFigures([])).toMatchObject({ rollouts: 0, passRate: 0, turnsMean: 0, parallelShare: 0 });
  });
});
