import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exampleEvaluations, exampleReport, exampleTranscript, metricsRow } from '../../test/example-run.ts';
import { heldOutFigure } from './figure.ts';
import { type Report, renderReport, writeReport } from './report.ts';

const allowedTags = new Set(
  (
    'html head meta title style body main header section article footer div h1 h2 h3 p dl dt dd ol li span b pre figure ' +
    'details summary table thead tbody tr th td svg g rect line polyline polygon circle path text'
  ).split(' '),
);
const allowedAttributes = new Set(
  (
    'lang charset http-equiv content name class scope role aria-label aria-hidden xmlns viewBox width height d x y x1 x2 ' +
    'y1 y2 cx cy r dx dy points text-anchor rx'
  ).split(' '),
);

/** Every tag of a document whose text is escaped: a `<` in text would be an unknown tag. */
function tagsOf(html: string): { readonly name: string; readonly attributes: string[] }[] {
  const withoutStyle = html.replace(/<style>[^<]*<\/style>/, '').replace('<!doctype html>', '');
  return [...withoutStyle.matchAll(/<(\/?[^\s>]*)([^>]*)>/g)].map(([, name = '', rest = '']) => ({
    name: name.replace('/', ''),
    attributes: [...rest.replace(/="[^"]*"/g, '').matchAll(/[^\s/]+/g)].map(([attribute]) => attribute),
  }));
}

/** One assertion over all tags, as a report has thousands. */
function expectInert(html: string): void {
  const strange = tagsOf(html).filter(
    ({ name, attributes }) => !allowedTags.has(name) || !attributes.every((one) => allowedAttributes.has(one)),
  );
  expect(strange).toEqual([]);
}

/** The report with one text in every place that a model, a tool, a task or a user can write to. */
function reportSaying(text: string): Report {
  const transcript = {
    ...exampleTranscript,
    rollout: text,
    messages: [
      { role: 'user', content: text },
      {
        role: 'assistant',
        content: text,
        toolCalls: [
          { id: 'a', name: text, arguments: JSON.stringify({ [text]: text, long: `${text}\n${text}` }) },
          { id: 'b', name: text, arguments: text },
        ],
      },
      { role: 'tool', toolCallId: 'a', content: text },
      { role: 'tool', toolCallId: 'b', content: text },
    ],
    outcome: { status: 'failed', boundary: 'sandbox', message: text },
    verdict: {
      ...exampleTranscript.verdict,
      tests: [{ id: text, status: 'failed' }],
      missing: [text],
      unexpected: [text],
      canariesHeld: false,
      completed: true,
      changedPaths: [text],
      droppedPaths: [text],
    },
  } as const;
  return {
    ...exampleReport,
    name: text,
    facts: [{ name: text, value: text }],
    metrics: exampleReport.metrics.slice(0, 2),
    evaluations: exampleReport.evaluations.map((row) => ({ ...row, set: text })),
    summary: { ...exampleReport.summary, sets: exampleReport.summary.sets.map((row) => ({ ...row, set: text })) },
    example: { task: text, statement: text, before: transcript, after: transcript },
  };
}

const hostile = [
  '</script><img src=x onerror=alert(1)>',
  '"><svg onload=alert(1)>',
  "' onmouseover='alert(1)",
  '</title></style><script>alert(1)</script>',
  '<!-- --><![CDATA[ ]]><base href="//evil">',
  '\u001b]0;owned\u0007\u001b[2J',
  'safe\u202e>tpircs<\u2066',
  '&lt;script&gt;',
  '\ud800\u0000<\u0000script>',
];

describe('report.html', () => {
  it('lets nothing that a model, a tool or a task wrote become an element or an attribute', () => {
    for (const text of hostile) expectInert(renderReport(reportSaying(text)));
  });

  it('does so for any text', () => {
    const parts = fc.constantFrom(
      '<',
      '>',
      '"',
      "'",
      '&',
      '/',
      '=',
      ' on',
      'script',
      '\n',
      '\u202e',
      '\u001b',
      '\u0000',
    );
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 12 }), (list) => expectInert(renderReport(reportSaying(list.join(''))))),
      { numRuns: 60 },
    );
  });

  it('shows hidden and control characters instead of obeying them', () => {
    const html = renderReport(reportSaying('a\u202eb\u001b[2J'));
    expect(html).toContain('a\u27e8U+202E\u27e9b\u241b[2J');
    expect(html).not.toMatch(/[\u202a-\u202e\u2066-\u2069]/);
    expect(html).not.toContain('\u001b');
  });

  it('forbids every script and load by its policy, and allows its own style by hash', () => {
    const html = renderReport(exampleReport);
    const style = /<style>([^<]*)<\/style>/.exec(html)?.[1] ?? '';
    const hash = createHash('sha256').update(style).digest('base64');
    expect(html).toContain(
      `content="default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'"`,
    );
    expect(html.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|url\(|@import|<script|javascript:/);
  });

  it('says what changed, with the interval', () => {
    const html = renderReport(exampleReport);
    expect(html).toMatch(/40% \u2192<\/span> <span class="to">80%/);
    expect(html).toContain('+40.0 points</span> (95% interval +33.0 to +46.0)');
  });

  it('marks a broken promise', () => {
    const metrics = [metricsRow(1, { maxLogprobGap: 3.1e-7, exactTurns: 429 })];
    const html = renderReport({ ...exampleReport, metrics });
    expect(html).toMatch(/class="broken"><dd>3\.1e-7</);
    expect(html).toMatch(/class="broken"><dd>429 of 430</);
    expect(renderReport(exampleReport)).not.toContain('class="broken"');
  });

  it('is written for a run that did nothing yet', () => {
    const summary = { ...exampleReport.summary, steps: 0, seconds: 0, sets: [] };
    const html = renderReport({ ...exampleReport, metrics: [], evaluations: [], summary, example: null });
    expect(html).not.toMatch(/NaN|Infinity|undefined/);
    expectInert(html);
  });

  it('says that a figure is not given where the engine gives none', () => {
    const html = renderReport({ ...exampleReport, metrics: [metricsRow(1, { entropy: null })] });
    expect(html).toContain('This engine does not give the figure.');
  });

  it('is the same bytes for the same run, and is written whole', () => {
    const directory = mkdtempSync(join(tmpdir(), 'espalier-report-'));
    const path = writeReport(directory, exampleReport);
    expect(readFileSync(path, 'utf8')).toBe(renderReport(exampleReport));
    expect(readdirSync(directory)).toEqual(['report.html']);
    rmSync(directory, { recursive: true });
  });

  it('that cannot be written is one clear error', () => {
    expect(() => writeReport('/dev/null/nowhere', exampleReport)).toThrow(/cannot write .*report\.html/);
  });
});

describe('the figure of the README', () => {
  it('is one SVG document whose elements are closed in order', () => {
    const svg = heldOutFigure(exampleEvaluations, 'a <run>');
    const open: string[] = [];
    for (const [tag, slash, name] of svg.matchAll(/<(\/?)([a-z]+)[^>]*>/g)) {
      if (slash === '/') expect(open.pop()).toBe(name);
      else if (!tag.endsWith('/>')) open.push(name ?? '');
    }
    expect(open).toEqual([]);
    expect(svg).toContain('a &lt;run&gt;');
  });
});
