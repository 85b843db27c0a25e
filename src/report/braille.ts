/** Lines in a grid of terminal cells: each cell is a braille pattern of 2 x 4 dots. Pure. */

export interface Curve {
  /** Both from 0 to 1: left to right, bottom to top. */
  readonly points: readonly { readonly x: number; readonly y: number }[];
  /** Applied to the cells that the curve was the last to touch. */
  readonly paint: (text: string) => string;
}

// Bit of the dot in column x, row y (from the top) of a cell: Unicode's order.
const bits = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const;

/** `rows` strings of `columns` cells. Curves drawn later win a cell's color. */
export function plotCurves(curves: readonly Curve[], columns: number, rows: number): string[] {
  const masks = new Uint8Array(columns * rows);
  const owners = new Int32Array(columns * rows).fill(-1);
  const [width, height] = [2 * columns - 1, 4 * rows - 1];
  curves.forEach((curve, owner) => {
    for (const [x, y] of dotsOf(curve, width, height)) {
      const cell = (y >> 2) * columns + (x >> 1);
      masks[cell] = (masks[cell] ?? 0) | (bits[x & 1]?.[y & 3] ?? 0);
      owners[cell] = owner;
    }
  });
  return Array.from({ length: rows }, (_, row) => {
    const cells = Array.from({ length: columns }, (_, column) => {
      const cell = row * columns + column;
      const text = masks[cell] === 0 ? ' ' : String.fromCodePoint(0x2800 + (masks[cell] ?? 0));
      return curves[owners[cell] ?? -1]?.paint(text) ?? text;
    });
    return cells.join('');
  });
}

/** Dots of the polyline through the points, y from the top; values outside 0 to 1 are held at the edge. */
function* dotsOf({ points }: Curve, width: number, height: number): Generator<readonly [number, number]> {
  const held = (value: number): number => Math.min(1, Math.max(0, value));
  const dots = points.map(({ x, y }) => [held(x) * width, (1 - held(y)) * height] as const);
  for (const [index, [x, y]] of dots.entries()) {
    const [fromX, fromY] = dots[Math.max(0, index - 1)] ?? [x, y];
    const length = Math.max(1, Math.ceil(Math.max(Math.abs(x - fromX), Math.abs(y - fromY))));
    for (let i = 0; i <= length; i++) {
      yield [Math.round(fromX + ((x - fromX) * i) / length), Math.round(fromY + ((y - fromY) * i) / length)];
    }
  }
}

const eighths = [' ', '\u258f', '\u258e', '\u258d', '\u258c', '\u258b', '\u258a', '\u2589', '\u2588'];

/** A bar of `columns` cells, filled to `share` in eighths of a cell. */
export function progressBar(share: number, columns: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * columns * 8);
  const full = Math.floor(filled / 8);
  const part = full < columns ? (eighths[filled % 8] ?? '') : '';
  return '\u2588'.repeat(full) + part + ' '.repeat(Math.max(0, columns - full - 1));
}

const bars = '\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588';

/** The last `columns` values as bars between `low` and `high`; a null leaves a space. */
export function sparkline(values: readonly (number | null)[], columns: number, low: number, high: number): string {
  return values
    .slice(-columns)
    .map((value) => {
      if (value === null) return ' ';
      const share = high === low ? 0 : (value - low) / (high - low);
      return bars[Math.min(7, Math.max(0, Math.floor(share * 8)))] ?? ' ';
    })
    .join('');
}
