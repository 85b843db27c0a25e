import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, RecordedSession, testRollout, user, writeRecordedRun } from '../../test/recorded-session.ts';
import { groupId, rolloutId } from '../core/ids.ts';
import { inspectRun } from './inspect.ts';

let folder = '';
let run = '';
const forked = new RecordedSession();
const plain = new RecordedSession(rolloutId(groupId('batch/0', 0), 1));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-inspect-'));
  run = join(folder, 'run');
  const first = forked.ask([user('question')], call('read', { path: 'x' }));
  forked.ask([user('question'), first, user('left')], 'the left answer');
  forked.ask([user('question'), first, user('right')], call('test', {}));
  forked.ask([user('question'), { role: 'assistant', content: 'other words', toolCalls: [] }, user('b')], 'fourth');
  forked.ask([user('title\u001b[2J')], 'Title');
  const reply = plain.ask([user('question')], 'one');
  plain.ask([user('question'), reply, user('more')], 'two');
  await writeRecordedRun(run, [forked, plain], [forked.outcome({ reward: 0.5 })]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('inspect', () => {
  it('lists every break with its cause, cost and answer, and sums them by cause', async () => {
    const { causes, breaks } = JSON.parse(await inspectRun(run, { breaks: true, json: true }));
    expect(breaks.map((one: { turn: number; cause: string; done: string }) => [one.turn, one.cause, one.done])).toEqual(
      [
        [2, 'fork', 'forked'],
        [3, 'history-rewritten', 'repaired'],
        [4, 'new-root', 'rendered'],
      ],
    );
    const rewritten = causes.find(({ cause }: { cause: string }) => cause === 'history-rewritten');
    expect(rewritten).toMatchObject({ breaks: 1, done: { repaired: 1 } });
    expect(rewritten.retokenizedSampledTokens).toBe(forked.turns[0]?.completion.length);
    const lost = breaks.reduce((sum: number, one: { tokensLost: number }) => sum + one.tokensLost, 0);
    const text = await inspectRun(run, { breaks: true, json: false });
    expect(text).toContain(`3 breaks in 7 turns; ${lost} tokens lost`);
    expect(text).toMatch(/batch\/0\/group\/0\/rollout\/0 +2 +fork +\d+ +\d+ +0 +forked\n/);
  });

  it('says so when there is no break', async () => {
    const text = await inspectRun(run, { breaks: true, rollout: plain.rollout, json: false });
    expect(text).toBe('no breaks in 2 turns: each continues the one before it');
  });

  it('shows every branch once, the later ones from where they fork', async () => {
    const text = await inspectRun(run, { rollout: testRollout, json: false });
    expect(text).toContain('== branch 0: turns 0, 1\n[user]\nquestion\n[assistant]\nread {"path":"x"}\n[user]\nleft');
    expect(text).toContain(
      '== branch 1: turn 2, from branch 0 after 2 messages (fork)\n[user]\nright\n[assistant]\ntest',
    );
    expect(text).toContain('== branch 2: turn 3, from branch 0 after 1 message (history-rewritten)\n');
    expect(text).toContain('== branch 3: turn 4, a conversation of its own (new-root)\n[user]\ntitle\u241b[2J');
    expect(text.match(/question/g)).toHaveLength(1);
    expect(text).toContain('not graded, reward 0.5');
  });

  it('gives each turn of a forked session its own calls', async () => {
    const text = await inspectRun(run, { rollout: testRollout, json: false });
    const rows = text.split('\n').slice(2, 7);
    expect(rows.map((row) => row.split(/\s{2,}/).at(-1))).toEqual(['read', 'stop', 'test', 'stop', 'stop']);
  });

  it('gives branches and turns as JSON', async () => {
    const { branches, turns, messages } = JSON.parse(await inspectRun(run, { rollout: testRollout, json: true }));
    expect(branches.map(({ turns: own }: { turns: number[] }) => own)).toEqual([[0, 1], [2], [3], [4]]);
    expect(turns.map(({ parent }: { parent: number | null }) => parent)).toHaveLength(5);
    expect(messages).toHaveLength(2);
  });

  it('draws the trie, with the beginnings of texts made safe', async () => {
    const text = await inspectRun(run, { trie: testRollout, json: false });
    expect(text).toMatch(/^batch\/0\/group\/0\/rollout\/0: 5 turns of [\d,]+ tokens, [\d,]+ in the trie\n/);
    expect(text).toMatch(/\u25cf +\d+ +sampled by 0 +0-2 +<tool_call>\{"name":"read"/);
    expect(text).toMatch(/\u251c\u2500.* context +\d/);
    expect(text).not.toContain('\u001b');
  });

  it('refuses views that do not go together, and names rollouts that are there', async () => {
    await expect(inspectRun(run, { trie: testRollout, breaks: true, json: false })).rejects.toThrow(/leave --breaks/);
    await expect(inspectRun(run, { trie: 'batch/9', json: false })).rejects.toThrow(
      /--trie batch\/9: no such rollout in .*; ids look like batch\/0\/group\/0\/rollout\/0/,
    );
  });
});
