/**
 * A token trie as a tree of lines: a span that does not branch goes on below itself, children are indented.
 *
 * Not the trie: whoever draws one brings its spans. Texts were written by a model or a task and are made safe here.
 */
import { whole } from './format.ts';
import { cut, displayWidth, pad, visible } from './text.ts';

/** Tokens in a row that the same turns pass and that have one origin. */
export interface DrawnSpan {
  readonly tokens: number;
  /** Turns that sampled these tokens; empty for context. */
  readonly sampledBy: readonly number[];
  /** All turns whose prompt or completion they are in, ascending. */
  readonly turns: readonly number[];
  /** The beginning of their text, or null where it is not known. */
  readonly text: string | null;
  readonly children: readonly DrawnSpan[];
}

const textColumns = 60;

/** A header and one line a span. */
export function drawTrie(roots: readonly DrawnSpan[]): string {
  const rows = roots.flatMap((root) => rowsOf(root, '', ''));
  const header = { tree: '', tokens: 'tokens', origin: 'origin', turns: 'turns', text: 'begins with' };
  const all = [header, ...rows];
  const width = (of: (row: Row) => string): number => Math.max(...all.map((row) => displayWidth(of(row))));
  const [tree, tokens] = [width((row) => row.tree), width((row) => row.tokens)];
  const [origin, turns] = [width((row) => row.origin), width((row) => row.turns)];
  return all
    .map((row) =>
      [
        `${pad(row.tree, tree)} ${pad(row.tokens, tokens, 'right')}`,
        pad(row.origin, origin),
        pad(row.turns, turns),
        row.text,
      ]
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

interface Row {
  readonly tree: string;
  readonly tokens: string;
  readonly origin: string;
  readonly turns: string;
  readonly text: string;
}

/** `first` stands before the span itself, `below` before what hangs from it. */
function rowsOf(top: DrawnSpan, first: string, below: string): Row[] {
  const rows = [row(top, first)];
  let span = top;
  while (span.children.length === 1) {
    span = span.children[0] as DrawnSpan;
    rows.push(row(span, below));
  }
  span.children.forEach((child, at) => {
    const last = at === span.children.length - 1;
    rows.push(
      ...rowsOf(child, `${below}${last ? '\u2514\u2500' : '\u251c\u2500'}`, `${below}${last ? '  ' : '\u2502 '}`),
    );
  });
  return rows;
}

function row(span: DrawnSpan, before: string): Row {
  const sampled = span.sampledBy.length > 0;
  return {
    tree: `${before}${sampled ? '\u25cf' : '\u25cb'}`,
    tokens: whole(span.tokens),
    origin: sampled ? `sampled by ${ranges(span.sampledBy)}` : 'context',
    turns: ranges(span.turns),
    text: span.text === null ? '' : cut(oneVisibleLine(span.text), textColumns),
  };
}

/** White space keeps its place: a line break is where one span often ends and the next begins. */
function oneVisibleLine(text: string): string {
  return visible(text).replace(/\n/g, '\u21b5').replace(/\t/g, '\u21e5');
}

/** `0-3, 7`. Ascending whole numbers. */
function ranges(numbers: readonly number[]): string {
  const parts: [first: number, last: number][] = [];
  for (const number of numbers) {
    const open = parts.at(-1);
    if (open !== undefined && open[1] + 1 === number) open[1] = number;
    else parts.push([number, number]);
  }
  return parts.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(', ');
}
