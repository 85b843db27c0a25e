import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RecordedSession, user } from '../../../test/recorded-session.ts';
import type { DrawnSpan } from '../../report/trie-drawing.ts';
import { pathOf, turnsOf } from '../../trajectory/turns.ts';
import { rolloutTrie } from './rollout-trie.ts';

const flat = (spans: readonly DrawnSpan[]): DrawnSpan[] => spans.flatMap((span) => [span, ...flat(span.children)]);

it('a rollout trie holds every turn as one path of whole spans, its completion sampled by it', () => {
  const asks = fc.array(fc.record({ from: fc.nat({ max: 6 }), says: fc.constantFrom('a', 'b', 'read the file') }), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(asks, (steps) => {
      const session = new RecordedSession();
      const histories = [[user('start')], [user('side')]];
      for (const { from, says } of steps) {
        const history = histories[from % histories.length] ?? [];
        histories.push([...history, session.ask(history, says), user('next')]);
      }
      const turns = turnsOf(session.turns);
      const trie = rolloutTrie(turns, null);
      const spans = flat(trie.roots);
      expect(spans.reduce((sum, span) => sum + span.tokens, 0)).toBe(trie.tokens);
      for (const turn of turns) {
        const path = spans.filter((span) => span.turns.includes(turn.index));
        expect(path.reduce((sum, span) => sum + span.tokens, 0)).toBe(pathOf(turn).length);
        const sampled = path.filter((span) => span.sampledBy.includes(turn.index));
        expect(sampled.reduce((sum, span) => sum + span.tokens, 0)).toBe(turn.completion.length);
      }
    }),
    { numRuns: 40 },
  );
});
