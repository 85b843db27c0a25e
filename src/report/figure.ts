/** The held-out curve as an SVG file of its own, for a README: the report's chart with its styles inside. */
import { renderChart } from './chart.ts';
import { heldOutChart, setsOf } from './curves.ts';
import type { EvalRow } from './rows.ts';
import { escapeHtml } from './text.ts';
import { chartStyle } from './theme.ts';

const [width, height, titleHeight] = [820, 360, 54];

/** A complete SVG document, light or dark as the reader's system is. `title` says which run it is. */
export function heldOutFigure(rows: readonly EvalRow[], title: string): string {
  const chart = renderChart(heldOutChart(rows, setsOf(rows), { width, height, labelWidth: 170 }));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width + 32} ${height + titleHeight + 16}" class="chart">`,
    `<style>${chartStyle}.back{fill:var(--paper)}.title{fill:var(--ink);font-size:15px;font-weight:600}</style>`,
    '<rect class="back" width="100%" height="100%" rx="8"/>',
    `<text class="title" x="16" y="32">${escapeHtml(title)}</text>`,
    `<svg x="16" y="${titleHeight}" width="${width}" height="${height}">${chart}</svg>`,
    '</svg>\n',
  ].join('\n');
}
