/**
 * Text that a model, a tool or a task wrote, made safe to show.
 *
 * Invariants:
 * 1. `sanitize` leaves nothing that a terminal would act on, and nothing that reorders or hides other text.
 * 2. `visible` shows what `sanitize` would drop, so that a reader of a report sees what the model really wrote.
 * 3. `escapeHtml` output is inert as element content and inside a double-quoted attribute.
 */
import { stripVTControlCharacters } from 'node:util';

// C0 without tab and newline, DEL, C1. Built from code points, since literal control characters cannot be reviewed.
const range = (first: number, last: number): string => `\\u{${first.toString(16)}}-\\u{${last.toString(16)}}`;
const controlSet = range(0x00, 0x08) + range(0x0b, 0x1f) + range(0x7f, 0x9f);
// Bidirectional controls, zero-width characters, line and paragraph separators, tags, interlinear annotations.
const hiddenSet =
  range(0x061c, 0x061c) +
  range(0x180e, 0x180e) +
  range(0x200b, 0x200b) +
  range(0x200e, 0x200f) +
  range(0x2028, 0x202e) +
  range(0x2060, 0x206f) +
  range(0xfeff, 0xfeff) +
  range(0xfff9, 0xfffb) +
  range(0xe0000, 0xe007f);
const unsafe = new RegExp(`[${controlSet}${hiddenSet}]`, 'gu');

/** Newlines and tabs stay. */
export function sanitize(text: string): string {
  return stripVTControlCharacters(text.toWellFormed()).replace(unsafe, '');
}

/** Control characters become their pictures (ESC: U+241B), hidden ones their code point in angle brackets. */
export function visible(text: string): string {
  return text.toWellFormed().replace(unsafe, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    return code === 0x7f ? '\u2421' : `\u27e8U+${code.toString(16).toUpperCase().padStart(4, '0')}\u27e9`;
  });
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export function escapeHtml(text: string): string {
  return visible(text).replace(/[&<>"']/g, (character) => entities[character] ?? '');
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
const wide =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3fffd}]/u;
const zeroWidth = /^[\p{Mark}\u200c\u200d]+$/u;

function cells(grapheme: string): number {
  if (zeroWidth.test(grapheme)) return 0;
  return wide.test(grapheme) ? 2 : 1;
}

/** Columns that a terminal gives to sanitized text. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += cells(segment);
  return width;
}

/** The first line's worth of a text: sanitized, white space folded, cut to `columns` with an ellipsis. */
export function oneLine(text: string, columns: number): string {
  // Long texts are shortened before they are walked: no column needs more than a few dozen code units.
  return cut(
    sanitize(text.slice(0, columns * 32))
      .replace(/\s+/g, ' ')
      .trim(),
    columns,
  );
}

/** Sanitized text of one line, cut to `columns` cells; an ellipsis stands for what is missing. */
export function cut(text: string, columns: number): string {
  let [width, kept, keptBeforeEllipsis] = [0, '', ''];
  for (const { segment } of graphemes.segment(text)) {
    width += cells(segment);
    if (width > columns) return columns > 0 ? `${keptBeforeEllipsis}\u2026` : '';
    kept += segment;
    if (width < columns) keptBeforeEllipsis = kept;
  }
  return kept;
}

/** Pads sanitized text with spaces to `columns`; longer text stays as it is. */
export function pad(text: string, columns: number, align: 'left' | 'right' = 'left'): string {
  const space = ' '.repeat(Math.max(0, columns - displayWidth(text)));
  return align === 'left' ? text + space : space + text;
}
