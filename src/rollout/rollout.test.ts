import { describe, expect, test } from 'vitest';
import { EspalierError } from '../core/errors.ts';
import { groupId, rolloutId } from '../core/ids.ts';
import type { Outcome } from '../core/outcome.ts';
import { type FakeOptions, fakeSettings, fakeTask, fakeWorld } from './fake-services.ts';
import { type RolloutServices, runRollout } from './rollout.ts';

const id = rolloutId(groupId('step/0', 0), 0);
const providerFailed: Outcome = { status: 'failed', boundary: 'provider', message: 'connection reset' };

async function roll(
  options: FakeOptions,
  change: Partial<RolloutServices> = {},
  signal = new AbortController().signal,
) {
  const world = fakeWorld(options);
  const finished = await runRollout(
    { ...world.services, ...change },
    { id, task: fakeTask('t'), seed: 7n, settings: fakeSettings, signal },
  );
  return { finished, world };
}

describe('a rollout', () => {
  test('is graded and rewarded by its verdict', async () => {
    const solved = (await roll({ deed: () => 'solve' })).finished;
    expect(solved).toMatchObject({ outcome: { status: 'completed' }, reward: 1, attempts: 1 });
    expect(solved.facts?.turns).toBe(3);
    expect((await roll({ deed: () => 'give up' })).finished).toMatchObject({ reward: 0 });
  });

  test('that was truncated is graded all the same', async () => {
    const { finished } = await roll({ deed: () => ({ status: 'truncated', by: 'turns' }) });
    expect(finished).toMatchObject({ outcome: { status: 'truncated', by: 'turns' }, reward: 0 });
  });

  test('counts as truncated when its session was, though its harness thinks otherwise', async () => {
    const byContext = await roll({ deed: () => providerFailed, facts: { truncatedBy: 'context' } });
    expect(byContext.finished).toMatchObject({
      outcome: { status: 'truncated', by: 'context' },
      reward: 0,
      attempts: 1,
    });
    const byTokens = await roll({ deed: () => 'solve', facts: { truncatedBy: 'tokens' } });
    expect(byTokens.finished).toMatchObject({ outcome: { status: 'truncated', by: 'tokens' }, reward: 1 });
  });

  test('is retried from the same seed when infrastructure fails, and then counts as undisturbed', async () => {
    const { finished, world } = await roll({ deed: (_, attempt) => (attempt < 2 ? providerFailed : 'solve') });
    expect(finished).toMatchObject({ outcome: { status: 'completed' }, reward: 1, attempts: 3 });
    expect(world.started).toEqual([id, id, id]);
    expect(world.seeds.get(id)).toBe(7n);
  });

  test('that infrastructure keeps failing has no reward, and says what failed', async () => {
    const { finished } = await roll({ deed: () => providerFailed });
    expect(finished).toMatchObject({ outcome: providerFailed, reward: null, verdict: null, facts: null, attempts: 3 });
    const thrown = await roll({ deed: () => new EspalierError('sandbox', 'no memory left') });
    expect(thrown.finished.outcome).toEqual({ status: 'failed', boundary: 'sandbox', message: 'no memory left' });
    const foreign = await roll({ deed: () => new TypeError('x is not a function') });
    expect(foreign.finished.outcome).toMatchObject({ boundary: 'harness', message: 'x is not a function' });
  });

  test('is not retried when trying again cannot help', async () => {
    const { finished } = await roll({ deed: () => new EspalierError('store', 'the disk is full') });
    expect(finished).toMatchObject({ outcome: { boundary: 'store' }, attempts: 1 });
  });

  test('keeps its work when grading fails, and is graded again', async () => {
    let gradings = 0;
    const grading = () => {
      gradings++;
      if (gradings < 3) throw new EspalierError('sandbox', 'the grading sandbox broke');
    };
    const { finished, world } = await roll({ deed: () => 'solve', grading });
    expect(finished).toMatchObject({ reward: 1, attempts: 1 });
    expect(world.started).toEqual([id]);
  });

  test('whose reward function throws has failed by configuration', async () => {
    const reward = () => {
      throw new Error('no such field');
    };
    const { finished } = await roll({ deed: () => 'solve' }, { reward });
    expect(finished).toMatchObject({ outcome: { boundary: 'config', message: 'no such field' }, reward: null });
  });

  test('that is aborted is cancelled, whatever its harness returns', async () => {
    const stop = new AbortController();
    const deed = () => {
      stop.abort(new Error('stopped by the user'));
      return 'give up' as const;
    };
    const { finished } = await roll({ deed }, {}, stop.signal);
    expect(finished).toMatchObject({ outcome: { status: 'cancelled', why: 'stopped by the user' }, reward: null });
  });

  test('leaves nothing open, whatever happened', async () => {
    for (const deed of ['solve', providerFailed, new Error('thrown')] as const) {
      const { world } = await roll({ deed: () => deed });
      expect(world.open).toMatchObject({ sessions: 0, sandboxes: 0 });
    }
    const { world } = await roll(
      { deed: () => 'solve' },
      { sandboxes: { start: () => Promise.reject(new EspalierError('sandbox', 'none')), close: async () => {} } },
    );
    expect(world.open.sessions).toBe(0);
  });
});
