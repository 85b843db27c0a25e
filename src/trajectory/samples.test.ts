import { expect, it } from 'vitest';
import { RecordedSession, user } from '../../test/recorded-session.ts';
import { mergedSamples, requestSamples } from './samples.ts';
import { turnsOf } from './turns.ts';

it('a trajectory is a sample, and a reply that two of them share is learned in the first', () => {
  const session = new RecordedSession();
  const first = session.ask([user('a')], 'one');
  session.ask([user('a'), first, user('left')], 'L');
  session.ask([user('a'), first, user('right')], 'R');
  const turns = turnsOf(session.turns);
  const merged = mergedSamples(turns);
  expect(merged.map((sample) => sample.turns)).toEqual([[0, 1], [2]]);
  expect(requestSamples(turns).map((sample) => sample.turns)).toEqual([[0], [1], [2]]);
  const [left, right] = merged;
  expect(left?.lossMask.reduce((sum, mask) => sum + mask, 0)).toBe(
    (turns[0]?.completion.length ?? 0) + (turns[1]?.completion.length ?? 0),
  );
  expect(right?.lossMask.reduce((sum, mask) => sum + mask, 0)).toBe(turns[2]?.completion.length);
});
