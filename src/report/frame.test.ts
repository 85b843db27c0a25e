import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import picocolors from 'picocolors';
import { describe, expect, it } from 'vitest';
import { evalRow, exampleEvaluations, exampleMetrics, metricsRow } from '../../test/example-run.ts';
import { type FrameState, renderFrame, secondsLeft } from './frame.ts';
import { displayWidth } from './text.ts';

const colors = picocolors.createColors(true);
const state: FrameState = {
  info: {
    name: 'start',
    directory: 'runs/start',
    model: 'models/seedling, 1.0 M parameters',
    seed: 0,
    steps: 8,
    stepsDone: 0,
    resumeCommand: 'espalier train --run runs/start --resume',
  },
  metrics: exampleMetrics.slice(0, 6),
  evaluations: exampleEvaluations.filter((row) => row.step < 6),
  elapsedSeconds: 61,
  passing: {
    rollout: 'step/6/group/1/rollout/0',
    turns: [{ calls: 'read src/clamp.js \u00b7 test', answer: '1 passed, 2 failed' }],
    shown: 1,
    solved: true,
  },
};
const text = (of: FrameState, columns: number, rows: number): string[] =>
  renderFrame(of, { columns, rows }, colors).map(stripVTControlCharacters);

describe('a frame', () => {
  it('shows progress, the held-out curve, the figures and the passing transcript', () => {
    const frame = text(state, 100, 40).join('\n');
    expect(frame).toMatch(/step 6\/8 .* 75% .*1:01 so far, about \d+ s left/);
    expect(frame).toContain('unseen 60%');
    expect(frame).toContain('transfer 50%');
    expect(frame).toMatch(/pass rate +70%/);
    expect(frame).toMatch(/gap +0 nats, 12,600 tokens/);
    expect(frame).toContain('step/6/group/1/rollout/0  \u2713 solved');
    expect(frame).toContain('  1 read src/clamp.js \u00b7 test  1 passed, 2 failed');
    expect(frame).toContain('espalier train --run runs/start --resume');
  });

  it('fits any terminal, and its height depends on nothing but the size', () => {
    const empty: FrameState = { ...state, metrics: [], evaluations: [], elapsedSeconds: 0, passing: null };
    const size = [fc.integer({ min: 21, max: 240 }), fc.integer({ min: 1, max: 80 })] as const;
    fc.assert(
      fc.property(...size, (columns, rows) => {
        const frame = text(state, columns, rows);
        expect(frame.length).toBeLessThanOrEqual(Math.max(0, rows - 1));
        for (const line of frame) expect(displayWidth(line)).toBeLessThan(columns);
        expect(text(empty, columns, rows)).toHaveLength(frame.length);
      }),
    );
  });

  it('says nothing about the verdict before the transcript has passed', () => {
    const passing = { rollout: 'r', turns: [{ calls: 'test', answer: '' }], shown: 0, solved: false };
    expect(text({ ...state, passing }, 100, 40).join('\n')).not.toContain('solved\n');
    expect(text({ ...state, passing: { ...passing, shown: 1 } }, 100, 40).join('\n')).toContain('\u2717 not solved');
  });

  it('shows a dash for a figure that the engine does not give', () => {
    const metrics = [metricsRow(1, { passRate: null, treeTokens: null })];
    const frame = text({ ...state, metrics }, 100, 40).join('\n');
    expect(frame).toMatch(/pass rate +\u2013/);
    expect(frame).toMatch(/\u2013 trained/);
  });
});

describe('secondsLeft', () => {
  it('adds the steps and the evaluations that are to come', () => {
    const metrics = [metricsRow(1, { seconds: 2 }), metricsRow(2, { seconds: 4 })];
    const evaluations = [evalRow(0, { seconds: 5 }), evalRow(2, { seconds: 5 })];
    expect(secondsLeft({ info: state.info, metrics, evaluations })).toBe(6 * 3 + 3 * 5);
  });

  it('is unknown before the first step and 0 after the last', () => {
    expect(secondsLeft({ info: state.info, metrics: [], evaluations: [] })).toBeNull();
    expect(secondsLeft({ info: state.info, metrics: [metricsRow(8)], evaluations: [] })).toBe(0);
  });
});
