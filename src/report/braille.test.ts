import { describe, expect, it } from 'vitest';
import { plotCurves, progressBar, sparkline } from './braille.ts';

const paint = (text: string): string => text;

describe('plotCurves', () => {
  it('draws a rising diagonal from the lower left to the upper right', () => {
    const points = [
      { x: 0, y: 0 },
      { x: 1, y: 1 },
    ];
    expect(plotCurves([{ points, paint }], 4, 2)).toEqual(['  \u2860\u280a', '\u2860\u280a  ']);
  });

  it('holds values outside of the frame at its edge', () => {
    const points = [
      { x: -3, y: 7 },
      { x: 9, y: 7 },
    ];
    expect(plotCurves([{ points, paint }], 3, 2)).toEqual(['\u2809\u2809\u2809', '   ']);
  });

  it('lets the later curve color a cell that both touch', () => {
    const points = [{ x: 0, y: 0 }];
    const [row] = plotCurves(
      [
        { points, paint: (text) => `a${text}` },
        { points, paint: (text) => `b${text}` },
      ],
      1,
      1,
    );
    expect(row).toBe('b\u2840');
  });
});

describe('progressBar', () => {
  it('always fills its columns', () => {
    for (let i = 0; i <= 100; i++) expect(progressBar(i / 100, 13)).toHaveLength(13);
    expect(progressBar(0, 4)).toBe('    ');
    expect(progressBar(1, 4)).toBe('\u2588'.repeat(4));
    expect(progressBar(0.5, 3)).toBe('\u2588\u258c ');
    expect(progressBar(7, 2)).toBe('\u2588\u2588');
  });
});

describe('sparkline', () => {
  it('shows the last values and leaves gaps', () => {
    expect(sparkline([9, 0, null, 1], 3, 0, 1)).toBe('\u2581 \u2588');
    expect(sparkline([], 3, 0, 1)).toBe('');
  });
});
