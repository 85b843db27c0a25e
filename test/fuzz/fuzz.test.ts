/** Short runs of the fuzzers, each with a seed of its own. Long ones: docs/testing.md. */
import { expect, test } from 'vitest';
import { fuzzCheckpoints } from './fuzz-checkpoints.ts';
import { fuzzRequests } from './fuzz-requests.ts';

test('hostile requests get the errors of their dialect, and nothing of them is recorded', {
  timeout: 600_000,
}, async () => {
  const { faults, turns, answers } = await fuzzRequests({
    requests: 3000,
    seed: 'suite',
    sweep: false,
    connections: 16,
  });
  expect(faults).toEqual([]);
  expect(turns).toBeGreaterThan(15);
  expect(answers.get('damaged JSON')?.get('400')).toBeGreaterThan(100);
});

test('every parameter with a value of every kind is a reply or a refusal', { timeout: 600_000 }, async () => {
  const { faults } = await fuzzRequests({ requests: 3500, seed: 'suite', connections: 16 });
  expect(faults).toEqual([]);
});

test('bodies that are enormous in one way take no more time than their size', { timeout: 600_000 }, async () => {
  const { faults } = await fuzzRequests({ requests: 1, seed: 'suite', sweep: false, heavy: true });
  expect(faults).toEqual([]);
});

test('broken model folders are errors that name the file', { timeout: 600_000 }, async () => {
  const { faults, outcomes } = await fuzzCheckpoints({ runs: 300, seed: 'suite' });
  expect(faults).toEqual([]);
  expect(outcomes.get('good')).toEqual({ loaded: 2 });
});
