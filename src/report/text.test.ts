import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cut, displayWidth, escapeHtml, oneLine, pad, sanitize, visible } from './text.ts';

const anyText = fc.string({ unit: 'binary', maxLength: 60 });
const control = /[\p{Cc}]/u;
const bidi = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

describe('sanitize', () => {
  it('removes whole escape sequences, so that their parameters do not stay behind', () => {
    expect(sanitize('a\u001b[31mred\u001b[0m b')).toBe('ared b');
    expect(sanitize('\u001b]0;title\u0007text')).toBe('text');
    expect(sanitize('\u009b2Jtext')).toBe('text');
  });

  it('removes what reorders or hides text and keeps the text', () => {
    expect(sanitize('user\u202enimda\u2066\u200b\ufeff')).toBe('usernimda');
    expect(sanitize('\u{e0041}tag')).toBe('tag');
  });

  it('leaves newlines, tabs and every script alone', () => {
    expect(sanitize('a\tb\nna\u00efve \u65e5\u672c \u05e9\u05dc\u05d5\u05dd')).toBe(
      'a\tb\nna\u00efve \u65e5\u672c \u05e9\u05dc\u05d5\u05dd',
    );
  });

  it('leaves no control character of any text, not even one that appears by removing another', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const clean = sanitize(text);
        expect(clean.replace(/[\n\t]/g, '')).not.toMatch(control);
        expect(clean).not.toMatch(bidi);
        expect(clean.isWellFormed()).toBe(true);
      }),
    );
    expect(sanitize('\u001b\u001b[31m[31mx')).not.toMatch(control);
  });
});

describe('visible', () => {
  it('shows what sanitize would drop', () => {
    expect(visible('\u001b[31m')).toBe('\u241b[31m');
    expect(visible('a\u202eb')).toBe('a\u27e8U+202E\u27e9b');
    expect(visible('\ud800')).toBe('\ufffd');
  });
});

describe('escapeHtml', () => {
  it('leaves nothing that ends an element or an attribute', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(escapeHtml(text)).not.toMatch(/[<>"']|&(?!amp;|lt;|gt;|quot;|#39;)/);
      }),
    );
    expect(escapeHtml('</script><img src=x onerror="a">')).toBe(
      '&lt;/script&gt;&lt;img src=x onerror=&quot;a&quot;&gt;',
    );
  });
});

describe('oneLine', () => {
  it('never exceeds its columns and never holds a line break', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 0, max: 30 }), (text, columns) => {
        const line = oneLine(text, columns);
        expect(displayWidth(line)).toBeLessThanOrEqual(columns);
        expect(line).not.toMatch(/[\n\r\t]/);
      }),
    );
  });

  it('counts wide characters as two and combining ones as none', () => {
    expect(displayWidth('\u65e5\u672c')).toBe(4);
    expect(displayWidth('e\u0301')).toBe(1);
    expect(displayWidth('\u{1f331}')).toBe(2);
    expect(oneLine('\u65e5\u672c\u8a9e', 5)).toBe('\u65e5\u672c\u2026');
  });

  it('folds white space and marks what is missing', () => {
    expect(oneLine('  a\n\n b\tc ', 20)).toBe('a b c');
    expect(oneLine('abcdef', 4)).toBe('abc\u2026');
    expect(cut('  ab', 3)).toBe('  \u2026');
  });
});

describe('pad', () => {
  it('fills to a width on either side', () => {
    expect([pad('ab', 4), pad('ab', 4, 'right'), pad('abcde', 4)]).toEqual(['ab  ', '  ab', 'abcde']);
  });
});
