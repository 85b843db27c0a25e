import { describe, expect, it } from 'vitest';
import { killPoints } from './kill-points.ts';

describe('a process that records turns', () => {
  it('has lost none that it acknowledged when it is killed, at 20 moments', async () => {
    const { points, acknowledged, problems } = await killPoints({ points: 20, seed: String(Date.now()) });
    expect(problems).toEqual([]);
    expect(points).toBe(20);
    expect(acknowledged).toBeGreaterThan(20);
  }, 600_000);
});
