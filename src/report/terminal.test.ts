import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { evalRow, exampleMessages, exampleSummary, metricsRow } from '../../test/example-run.ts';
import { frameMs, terminalView, viewFor } from './terminal.ts';
import type { RunInfo } from './view.ts';

const info: RunInfo = {
  name: 'start',
  directory: 'runs/start',
  model: 'models/seedling',
  seed: 0,
  steps: 8,
  stepsDone: 0,
  resumeCommand: 'espalier train --run runs/start --resume',
};

/** A terminal that keeps what is written, and a clock that only `tick` moves. */
function openTerminal() {
  const written: string[] = [];
  const stream = { isTTY: true, columns: 100, rows: 40, write: (text: string) => written.push(text) };
  let [now, running] = [0, false];
  let onTick = (): void => {};
  const view = terminalView(stream, {
    clock: { now: () => now },
    color: false,
    every: (_, tick) => {
      [onTick, running] = [tick, true];
      return () => {
        running = false;
      };
    },
  });
  const tick = (times: number): void => {
    for (let i = 0; i < times && running; i++) {
      now += frameMs;
      onTick();
    }
  };
  return { view, written, tick, stream, isRunning: () => running };
}

describe('the live view', () => {
  it('draws many changes in one frame, each frame in one write over the last one', () => {
    const { view, written, tick } = openTerminal();
    view.start(info);
    const before = written.length;
    for (let step = 1; step <= 5; step++) view.step(metricsRow(step));
    view.evaluation(evalRow(4));
    expect(written).toHaveLength(before);
    tick(1);
    expect(written).toHaveLength(before + 1);
    const height = (written[before - 1] ?? '').split('\n').length - 1;
    expect(written[before]).toContain(`\r\u001b[${height}A`);
    expect(written[before]).toContain('step 5/8');
    view.end({ summary: null, lines: [] });
  });

  it('rests when nothing happens, but for the clock', () => {
    const { view, written, tick } = openTerminal();
    view.start(info);
    const before = written.length;
    tick(10);
    expect(written.length - before).toBe(2);
    expect(written.at(-1)).toContain('2 s so far');
    view.end({ summary: null, lines: [] });
  });

  it('lets a transcript pass turn by turn, then the next one', () => {
    const { view, written, tick } = openTerminal();
    view.start(info);
    view.rollout({ rollout: 'step/1/group/0/rollout/0', messages: exampleMessages, solved: true });
    tick(1);
    view.rollout({ rollout: 'step/1/group/0/rollout/1', messages: exampleMessages, solved: false });
    tick(2);
    expect(written.at(-1)).toContain('  1 read src/clamp.js');
    expect(written.at(-1)).not.toContain('\u201cDone.\u201d');
    tick(4);
    expect(written.at(-1)).toContain('\u201cDone.\u201d');
    expect(written.at(-1)).toContain('rollout/0  \u2713 solved');
    tick(8);
    expect(written.at(-1)).toContain('step/1/group/0/rollout/1');
    view.end({ summary: null, lines: [] });
  });

  it('keeps notes above the frame, sanitized, and never loses one', () => {
    const { view, written, tick } = openTerminal();
    view.note('before the start');
    view.start(info);
    view.note('retried\u001b[2J a rollout\n');
    tick(1);
    view.note('last words');
    view.end({ summary: exampleSummary, lines: ['report: runs/start/report.html'] });
    const all = written.join('');
    expect(all).toContain('before the start');
    expect(all).toContain('retried a rollout\u001b[K\n');
    expect(all).toContain('last words');
    expect(all).not.toContain('\u001b[2J');
    expect(all).toContain('report: runs/start/report.html\n');
    expect(all).toMatch(/unseen sampled +40\.0% -> +80\.0% {2}\+40\.0 points/);
  });

  it('shows the cursor again at the end, stops its timer and leaves no listener behind', () => {
    const listeners = process.listenerCount('SIGINT') + process.listenerCount('exit');
    const { view, written, isRunning } = openTerminal();
    view.start(info);
    expect(written.join('')).toContain('\u001b[?25l');
    view.end({ summary: null, lines: [] });
    expect(written.join('').endsWith('\u001b[?25h\n')).toBe(true);
    expect(isRunning()).toBe(false);
    expect(process.listenerCount('SIGINT') + process.listenerCount('exit')).toBe(listeners);
  });

  it('prints what is to be read even when the run failed before it started', () => {
    const { view, written } = openTerminal();
    view.end({ summary: null, lines: ['the port is in use'] });
    expect(written.join('')).toContain('the port is in use\n');
  });

  it('clears the screen after the terminal changed its width', () => {
    const { view, written, tick, stream } = openTerminal();
    view.start(info);
    stream.columns = 60;
    view.step(metricsRow(1));
    tick(1);
    expect(written.at(-1)).toContain('\u001b[H\u001b[J');
    view.end({ summary: null, lines: [] });
  });

  it('shows the cursor again when Ctrl-C kills the process, which still dies of it', async () => {
    const script = `
      import { terminalView } from ${JSON.stringify(join(import.meta.dirname, 'terminal.ts'))};
      terminalView(process.stdout, { color: false }).start(${JSON.stringify(info)});
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    let interrupted = false;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (!interrupted && output.includes('\u001b[?2026l')) {
        interrupted = true;
        child.kill('SIGINT');
      }
    });
    const [, signal] = await once(child, 'close');
    expect(signal).toBe('SIGINT');
    expect(output.endsWith('\u001b[?25h')).toBe(true);
  });
});

describe('viewFor', () => {
  it('writes plain lines where nothing can be redrawn', () => {
    for (const [isTTY, environment] of [
      [false, {}],
      [true, { TERM: 'dumb' }],
      [true, { CI: 'true' }],
    ] as const) {
      const written: string[] = [];
      const view = viewFor({ isTTY, write: (text) => written.push(text) }, environment);
      view.start(info);
      view.step(metricsRow(1));
      view.evaluation(evalRow(0));
      view.note('a\u001b[31m note');
      view.end({ summary: exampleSummary, lines: ['report: r'] });
      const text = written.join('');
      expect(text).not.toContain('\u001b');
      expect(text.split('\n').slice(0, 4)).toEqual([
        'run start in runs/start: models/seedling, seed 0, 8 steps',
        'step 1/8  pass  45%  turns 4.70  parallel  7%  1,680 tokens/s sampled  2,000 trained  gap 0  2.5 s',
        'eval 0  unseen sampled    40.0% [35.0%, 45.0%]  turns 5.00  parallel 10%  300 rollouts of 300 tasks  6.0 s',
        'a note',
      ]);
    }
  });
});
