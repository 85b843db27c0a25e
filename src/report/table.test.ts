import { describe, expect, it } from 'vitest';
import { alignedTable, OutcomeSums, outcomeTable, type RolloutFacts, rolloutTable, turnTable } from './table.ts';

const rollout = (change: Partial<RolloutFacts>): RolloutFacts => ({
  rollout: 'step/1/group/0/rollout/0',
  task: 'seedlings/train/7',
  turns: 5,
  toolCalls: 6,
  promptTokens: 1180,
  sampledTokens: 52,
  outcome: { status: 'completed' },
  solved: true,
  reward: 1,
  ...change,
});

describe('tables', () => {
  it('align by what is shown, not by code units', () => {
    const table = alignedTable(
      [{ name: 'name' }, { name: 'n', align: 'right' }],
      [
        ['\u65e5\u672c', '1'],
        ['a', '1,000'],
      ],
    );
    expect(table).toBe(
      'name      n\n\u2500\u2500\u2500\u2500  \u2500\u2500\u2500\u2500\u2500\n\u65e5\u672c      1\na     1,000\n',
    );
  });

  it('hold one line a row, whatever a cell says', () => {
    const table = alignedTable([{ name: 'a' }], [['x\ny\u001b[2J\u202e'], ['z'.repeat(500)]]);
    expect(table.split('\n')).toHaveLength(5);
    expect(table).not.toContain('\u001b');
    expect(Math.max(...table.split('\n').map((line) => line.length))).toBe(100);
  });

  it('list rollouts with what is not known as a dash', () => {
    const table = rolloutTable([
      rollout({}),
      rollout({ outcome: { status: 'truncated', by: 'tokens' }, solved: false, reward: 0 }),
      rollout({ outcome: null, solved: null, reward: null }),
    ]);
    expect(table).toContain('1,180       52  completed            yes       1.00');
    expect(table).toContain('truncated by tokens  no        0.00');
    expect(table).toMatch(/open +\u2013 +\u2013\n$/);
  });

  it('count outcomes', () => {
    const failed = rollout({ outcome: { status: 'failed', boundary: 'sandbox', message: 'm' }, solved: null });
    const sums = new OutcomeSums();
    for (const one of [rollout({}), rollout({ solved: false }), failed]) sums.add(one);
    expect(outcomeTable(sums.rows())).toMatch(/completed +2 +1 +10 +104\nfailed \(sandbox\) +1 +0 +5 +52\n$/);
  });

  it('list turns with their policy versions', () => {
    const turn = {
      index: 0,
      promptTokens: 180,
      reusedTokens: null,
      sampledTokens: 12,
      toolCalls: ['read', 'test'],
      finishReason: 'tool_calls',
      fidelity: 'exact',
      versions: [3, 4],
      meanLogprob: -0.12,
    } as const;
    expect(turnTable([turn])).toMatch(/0 +180 +\u2013 +12 +-0\.120 +3-4 +exact +tool_calls +read, test\n$/);
  });
});
