import { describe, expect, it } from 'vitest';
import { type Chart, renderChart } from './chart.ts';

const chart = (change: Partial<Chart>): Chart => ({
  title: 'pass rate',
  yLabel: 'tasks solved',
  xLabel: 'optimizer step',
  series: [],
  width: 400,
  height: 200,
  labelWidth: 60,
  format: (value) => value.toFixed(2),
  ...change,
});
const count = (text: string, part: string | RegExp): number => text.split(part).length - 1;

describe('a chart', () => {
  it('breaks its line where a figure is missing, and shows a lone point as a dot', () => {
    const points = [1, 2, null, 4, null, 6, 7].map((y, x) => ({ x, y }));
    const svg = renderChart(chart({ series: [{ label: '', color: 1, points }] }));
    expect(count(svg, '<polyline')).toBe(2);
    expect(count(svg, '<circle')).toBe(1);
  });

  it('draws a band only where both of its ends are known', () => {
    const points = [
      { x: 0, y: 0.5, low: 0.4, high: 0.6 },
      { x: 1, y: 0.5, low: 0.4, high: 0.6 },
      { x: 2, y: 0.5, low: null, high: null },
    ];
    const svg = renderChart(chart({ series: [{ label: 'a', color: 1, points }] }));
    expect(/<polygon class="band c1" points="([^"]*)"/.exec(svg)?.[1]?.split(' ')).toHaveLength(4);
  });

  it('names its axes with their units and labels a line at its end', () => {
    const svg = renderChart(chart({ series: [{ label: 'sampled', color: 2, points: [{ x: 3, y: 0.25 }] }] }));
    expect(svg).toContain('>tasks solved</text>');
    expect(svg).toContain('>optimizer step</text>');
    expect(svg).toMatch(/class="label c2"[^>]*>sampled 0\.25</);
  });

  it('lets hostile labels be nothing but text', () => {
    const svg = renderChart(
      chart({
        title: '"><script>',
        series: [{ label: '</text><script>alert(1)', color: 1, points: [{ x: 0, y: 1 }] }],
      }),
    );
    expect(svg).not.toContain('<script');
  });

  it('is drawn without any figure', () => {
    expect(renderChart(chart({}))).not.toMatch(/NaN|Infinity/);
    const nothing = [{ x: 1, y: null }];
    expect(renderChart(chart({ series: [{ label: 'a', color: 1, points: nothing }] }))).not.toMatch(/NaN|Infinity/);
  });

  it('tells the figures of a step under the pointer without a script', () => {
    const points = [{ x: 5, y: 0.5, low: 0.4, high: 0.6 }];
    const svg = renderChart(chart({ series: [{ label: 'sampled', color: 1, points }] }));
    expect(svg).toContain('<title>optimizer step 5\nsampled: 0.50 (0.40 to 0.60)</title>');
  });
});
