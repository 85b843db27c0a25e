import { describe, expect, it } from 'vitest';
import { answerTo, call, RecordedSession, testRollout, user } from '../../test/recorded-session.ts';
import { branchesOf, messagesOf, replyOf } from './transcript.ts';

const said = (branch: { readonly messages: readonly { readonly message: { readonly content: string } }[] }) =>
  branch.messages.map(({ message }) => message.content);

describe('branches of a rollout', () => {
  it('are one when every turn continues the last, and know who sampled what', () => {
    const session = new RecordedSession();
    const first = session.ask([user('a')], call('read', { path: 'x' }));
    const history = [user('a'), first, answerTo(first, 'text of x')];
    session.ask(history, 'done');
    const [branch, ...others] = branchesOf(session.index(), testRollout);
    expect(others).toEqual([]);
    expect(branch).toMatchObject({ turns: [0, 1], fork: null });
    expect(branch?.messages.map(({ turn }) => turn)).toEqual([null, 0, null, 1]);
    expect(branch?.messages.map(({ message }) => message)).toEqual(messagesOf(session.index(), testRollout));
  });

  it('begin where a parallel turn leaves the first one', () => {
    const session = new RecordedSession();
    const first = session.ask([user('a')], 'one');
    session.ask([user('a'), first, user('left')], 'L');
    session.ask([user('a'), first, user('right')], 'R');
    const branches = branchesOf(session.index(), testRollout);
    expect(branches.map(({ turns, fork }) => ({ turns, fork }))).toEqual([
      { turns: [0, 1], fork: null },
      { turns: [2], fork: { branch: 0, messages: 2 } },
    ]);
    expect(branches[1]?.messages.map(({ shared }) => shared)).toEqual([true, true, false, false]);
    expect(branches[1]?.messages.map(({ turn }) => turn)).toEqual([null, 0, null, 2]);
    expect(said(branches[1]!)).toEqual(['a', 'one', 'right', 'R']);
  });

  it('go on when an agent comes back to one of them', () => {
    const session = new RecordedSession();
    const main = [user('main')];
    main.push(session.ask(main, 'one'), user('more'));
    session.ask([user('a title, please')], 'Title');
    main.push(session.ask(main, 'two'), user('and more'));
    session.ask(main, 'three');
    const branches = branchesOf(session.index(), testRollout);
    expect(branches.map(({ turns }) => turns)).toEqual([[0, 2, 3], [1]]);
    expect(branches[1]?.fork).toBeNull();
  });

  it('tell a second sample of a prompt from the first, and which of them goes on', () => {
    const session = new RecordedSession();
    session.ask([user('a')], 'one');
    const second = session.ask([user('a')], 'two');
    session.ask([user('a'), second, user('b')], 'three');
    const branches = branchesOf(session.index(), testRollout);
    expect(branches.map(({ turns }) => turns)).toEqual([[0], [1, 2]]);
    expect(branches[1]?.fork).toEqual({ branch: 0, messages: 1 });
  });

  it('do not take a rewritten reply for a sampled one', () => {
    const session = new RecordedSession();
    session.ask([user('a')], 'one');
    session.ask([user('a'), { role: 'assistant', content: 'rewritten', toolCalls: [] }, user('b')], 'two');
    const branches = branchesOf(session.index(), testRollout);
    expect(branches[1]).toMatchObject({ turns: [1], fork: { branch: 0, messages: 1 } });
    expect(branches[1]?.messages.map(({ turn }) => turn)).toEqual([null, null, null, 1]);
  });

  it('give each turn the reply that it sampled', () => {
    const session = new RecordedSession();
    session.ask([user('a')], call('read', {}));
    session.ask([user('b')], call('test', {}));
    session.ask([user('a')], call('edit', {}));
    const index = session.index();
    const names = index.turns(testRollout).map((turn) => replyOf(index, turn)?.toolCalls.map(({ name }) => name));
    expect(names).toEqual([['read'], ['test'], ['edit']]);
  });
});
