import { describe, expect, it } from 'vitest';
import { groupId, rolloutId } from '../../core/ids.ts';
import type { Message } from '../../core/message.ts';
import { assistantBlock } from '../../trajectory/canonical.ts';
import type { TurnRecord } from '../../trajectory/records.ts';
import { Lineage } from './lineage.ts';

const none = new Int32Array(0);
const user = (content: string): Message => ({ role: 'user', content });
const said = (content: string): Message => ({ role: 'assistant', content, toolCalls: [] });

/** Adds the turn that answers with `reply`, and gives how it descends. */
function turn(
  lineage: Lineage,
  index: number,
  messages: Message[],
  reply: string,
  ids: number[] = [],
  sampled: number[] = [],
) {
  const prompt = Int32Array.from(ids);
  const descent = lineage.descend(messages, [], prompt);
  const record: TurnRecord = {
    type: 'turn',
    rollout: rolloutId(groupId('default', 0), 0),
    index,
    attempt: 0,
    ...descent,
    tail: prompt.slice(descent.reused),
    completion: Int32Array.from(sampled),
    behaviorLogprobs: new Float32Array(sampled.length),
    entropies: new Float32Array(sampled.length),
    versions: new Int32Array(sampled.length),
    finishReason: 'stop',
    truncatedBy: null,
    fidelity: 'text',
    toolCallCount: 0,
    retokenizedSampledTokens: 0,
    requestKey: descent.conversationKey,
    reply: assistantBlock(reply, []).key,
    wishes: {},
  };
  lineage.add(record, descent, prompt);
  return {
    parent: descent.parent,
    kept: descent.messagesReused,
    reused: descent.reused,
    cause: descent.break?.cause ?? null,
  };
}

describe('a relayed conversation', () => {
  it('goes on, forks, is rewritten, shortened, asked again and begun anew, and each has its name', () => {
    const lineage = new Lineage();
    const start = [user('Fix.')];
    const second = [...start, said('a'), user('And?')];
    expect(turn(lineage, 0, start, 'a')).toEqual({ parent: null, kept: 0, reused: 0, cause: null });
    expect(turn(lineage, 1, second, 'b')).toEqual({ parent: 0, kept: 2, reused: 0, cause: null });
    expect(turn(lineage, 2, [...start, said(' a '), user('Or?')], 'c')).toMatchObject({
      parent: 0,
      kept: 2,
      cause: 'fork',
    });
    expect(turn(lineage, 3, second, 'd')).toMatchObject({ parent: 1, kept: 3, cause: 'same-prompt' });
    expect(turn(lineage, 4, [...start, said('A'), user('And?'), said('b'), user('So?')], 'e')).toMatchObject({
      kept: 1,
      cause: 'history-rewritten',
    });
    expect(turn(lineage, 5, [...start, user('In short: a.')], 'f')).toMatchObject({
      kept: 1,
      cause: 'history-shortened',
    });
    expect(turn(lineage, 6, [user('A title.')], 'g')).toMatchObject({ parent: null, kept: 0, cause: 'new-root' });
    expect(turn(lineage, 7, [...second, said('b'), user('Done?')], 'h')).toMatchObject({
      parent: 1,
      kept: 4,
      cause: null,
    });
  });

  it('shares the ids that agree with its parent, where ids are known', () => {
    const lineage = new Lineage();
    turn(lineage, 0, [user('Fix.')], 'a', [1, 2, 3], [4, 5]);
    expect(turn(lineage, 1, [user('Fix.'), said('a'), user('And?')], 'b', [1, 2, 3, 4, 5, 6], [7])).toMatchObject({
      reused: 5,
    });
    expect(turn(lineage, 2, [user('Fix.'), said('a'), user('Or?')], 'b', [1, 2, 9], [7])).toMatchObject({ reused: 2 });
    expect(lineage.descend([user('Else.')], [], none)).toMatchObject({ break: { cause: 'new-root', tokensLost: 4 } });
  });

  it('is remembered for a number of turns and no more', () => {
    const lineage = new Lineage(8);
    for (let index = 0; index < 12; index++) turn(lineage, index, [user(`${index}`)], 'a');
    expect(lineage.descend([user('4'), said('a'), user('?')], [], none)).toMatchObject({ parent: 4 });
    expect(lineage.descend([user('3'), said('a'), user('?')], [], none)).toMatchObject({ parent: null });
  });
});
