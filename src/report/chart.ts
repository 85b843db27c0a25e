/**
 * One line chart as an SVG element: lines with optional bands, labelled at their ends instead of in a legend.
 *
 * Not here: colors and fonts, which are classes (`theme.ts`), so that the same chart serves the page and the figure,
 * in light and dark. No script, no style attribute: a content security policy with a style hash forbids both.
 *
 * Invariants:
 * 1. A null breaks the line; nothing is drawn for a figure that could not be had.
 * 2. Every text goes through `escapeHtml`.
 */
import { linearScale, roundRange, type Scale, spread, ticks } from './scale.ts';
import { escapeHtml } from './text.ts';

export interface Point {
  readonly x: number;
  readonly y: number | null;
  /** The band around y, if it has one. */
  readonly low?: number | null;
  readonly high?: number | null;
}

export interface Series {
  /** Written at the line's end; empty for none. */
  readonly label: string;
  /** Which color of the theme: 1 to 5. */
  readonly color: 1 | 2 | 3 | 4 | 5;
  readonly dashed?: boolean;
  /** Dots on the points, for figures that are measured rarely. */
  readonly dots?: boolean;
  readonly points: readonly Point[];
}

export interface Chart {
  readonly title: string;
  /** With the unit, e.g. `tokens a second`. Set above the axis, where it needs no turned head. */
  readonly yLabel: string;
  readonly xLabel: string;
  readonly series: readonly Series[];
  readonly width: number;
  readonly height: number;
  readonly format: (value: number) => string;
  /** Ends of the y axis; computed from the points where not given. */
  readonly yLow?: number;
  readonly yHigh?: number;
  /** Room for the labels at the right. */
  readonly labelWidth: number;
}

interface Area {
  readonly x: Scale;
  readonly y: Scale;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

const pixel = (value: number): string => Number(value.toFixed(2)).toString();

/** An `<svg>` element with `role="img"` and a title, ready to be put in a page or a file. */
export function renderChart(chart: Chart): string {
  const area = layOut(chart);
  const body = [
    grid(chart, area),
    ...chart.series.map((series) => band(series, area)),
    ...chart.series.map((series) => line(series, area)),
    labels(chart, area),
    hover(chart, area),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 ${chart.width} ${chart.height}"`,
    ` role="img" aria-label="${escapeHtml(chart.title)}">`,
    ...body,
    '</svg>',
  ].join('\n');
}

function layOut(chart: Chart): Area {
  const points = chart.series.flatMap((series) => series.points);
  const values = points.flatMap(({ y, low, high }) => [y, low, high]).filter((value) => typeof value === 'number');
  const [low, high] = roundRange(
    chart.yLow ?? Math.min(...(values.length > 0 ? values : [0])),
    chart.yHigh ?? Math.max(...(values.length > 0 ? values : [1])),
    4,
  );
  const xs = points.map(({ x }) => x);
  const [left, right, top, bottom] = [44, chart.width - chart.labelWidth, 30, chart.height - 36];
  return {
    x: linearScale(Math.min(...(xs.length > 0 ? xs : [0])), Math.max(...(xs.length > 0 ? xs : [1])), left, right),
    y: linearScale(chart.yLow ?? low, chart.yHigh ?? high, bottom, top),
    left,
    right,
    top,
    bottom,
  };
}

function grid(chart: Chart, { x, y, left, right, top, bottom }: Area): string {
  const rows = ticks(y.low, y.high, 4).map((value) => {
    const at = pixel(y.place(value));
    return (
      `<line class="grid${value === 0 ? ' zero' : ''}" x1="${left}" x2="${right}" y1="${at}" y2="${at}"/>` +
      `<text class="tick" x="${left - 8}" y="${at}" dy="0.32em" text-anchor="end">${escapeHtml(chart.format(value))}</text>`
    );
  });
  const columns = ticks(x.low, x.high, Math.min(8, Math.floor((right - left) / 60)))
    .filter((value) => Number.isInteger(value))
    .map((value) => {
      const at = pixel(x.place(value));
      return (
        `<line class="notch" x1="${at}" x2="${at}" y1="${bottom}" y2="${bottom + 4}"/>` +
        `<text class="tick" x="${at}" y="${bottom + 16}" text-anchor="middle">${value}</text>`
      );
    });
  return [
    ...rows,
    ...columns,
    `<text class="axis" x="0" y="${top - 16}">${escapeHtml(chart.yLabel)}</text>`,
    `<text class="axis" x="${right}" y="${bottom + 32}" text-anchor="end">${escapeHtml(chart.xLabel)}</text>`,
  ].join('');
}

/** Runs of neighbors that `has` accepts. */
function runs(points: readonly Point[], has: (point: Point) => boolean): Point[][] {
  const found: Point[][] = [[]];
  for (const point of points) {
    if (has(point)) found.at(-1)?.push(point);
    else found.push([]);
  }
  return found.filter((run) => run.length > 0);
}

function band(series: Series, { x, y }: Area): string {
  const isBand = ({ low, high }: Point): boolean => typeof low === 'number' && typeof high === 'number';
  return runs(series.points, isBand)
    .map((run) => {
      const upper = run.map((point) => `${pixel(x.place(point.x))},${pixel(y.place(point.high ?? 0))}`);
      const lower = run.map((point) => `${pixel(x.place(point.x))},${pixel(y.place(point.low ?? 0))}`).reverse();
      return `<polygon class="band c${series.color}" points="${[...upper, ...lower].join(' ')}"/>`;
    })
    .join('');
}

function line(series: Series, { x, y }: Area): string {
  const style = `c${series.color}${series.dashed ? ' dashed' : ''}`;
  const all = runs(series.points, (point) => point.y !== null);
  const place = (point: Point): readonly [string, string] => [pixel(x.place(point.x)), pixel(y.place(point.y ?? 0))];
  const strokes = all
    .filter((run) => run.length > 1)
    .map((run) => `<polyline class="line ${style}" points="${run.map((point) => place(point).join(',')).join(' ')}"/>`);
  // A lone point has no stroke, so it gets a dot, or it would not be seen.
  const dotted = all.filter((run) => series.dots || run.length === 1).flat();
  const dots = dotted.map((point) => {
    const [cx, cy] = place(point);
    return `<circle class="dot ${style}" cx="${cx}" cy="${cy}" r="3"/>`;
  });
  return [...strokes, ...dots].join('');
}

function labels(chart: Chart, { x, y, top, bottom }: Area): string {
  const ends = chart.series.flatMap((series) => {
    const last = series.points.findLast((point) => point.y !== null);
    return series.label === '' || last === undefined ? [] : [{ series, last, at: y.place(last.y ?? 0) }];
  });
  const positions = spread(
    ends.map(({ at }) => at),
    15,
    top,
    bottom,
  );
  return ends
    .map(({ series, last }, index) => {
      const text = escapeHtml(`${series.label} ${chart.format(last.y ?? 0)}`);
      const [left, height] = [pixel(x.place(last.x) + 9), pixel(positions[index] ?? 0)];
      return `<text class="label c${series.color}" x="${left}" y="${height}" dy="0.32em">${text}</text>`;
    })
    .join('');
}

/** A column for each x: the browser shows its `<title>` as a tooltip, without a script. */
function hover(chart: Chart, { x, left, right, top, bottom }: Area): string {
  const xs = [...new Set(chart.series.flatMap(({ points }) => points.map((point) => point.x)))].sort((a, b) => a - b);
  return xs
    .map((at, index) => {
      const before = index === 0 ? left : (x.place(xs[index - 1] ?? at) + x.place(at)) / 2;
      const after = index === xs.length - 1 ? right : (x.place(at) + x.place(xs[index + 1] ?? at)) / 2;
      const figures = chart.series.flatMap((series) => {
        const point = series.points.find((candidate) => candidate.x === at);
        return point === undefined || point.y === null ? [] : [describe(series, point, chart)];
      });
      const title = escapeHtml([`${chart.xLabel} ${at}`, ...figures].join('\n'));
      const [edge, width] = [pixel(before), pixel(Math.max(0, after - before))];
      const middle = pixel(x.place(at));
      return (
        `<g class="hover"><rect x="${edge}" y="${top}" width="${width}" height="${bottom - top}"/>` +
        `<line x1="${middle}" x2="${middle}" y1="${top}" y2="${bottom}"/><title>${title}</title></g>`
      );
    })
    .join('');
}

function describe(series: Series, { y, low, high }: Point, { format, yLabel }: Chart): string {
  const interval = typeof low === 'number' && typeof high === 'number' ? ` (${format(low)} to ${format(high)})` : '';
  return `${series.label || yLabel}: ${format(y ?? 0)}${interval}`;
}
