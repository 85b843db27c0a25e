import { describe, expect, it } from 'vitest';
import { fragments } from './fragments.ts';
import { lineOperators, mutantsOf, parseScript } from './operators.ts';

const templates = fragments.flatMap(({ forms }) => forms.map(({ code }) => code.replaceAll('$ps', '$numP, $numQ')));

describe('bug operators', () => {
  it('change one line and leave code that parses', () => {
    for (const code of templates) {
      for (const mutant of mutantsOf(code)) {
        const before = code.split('\n');
        const after = mutant.code.split('\n');
        expect(after).toHaveLength(before.length);
        expect(after.flatMap((line, index) => (line === before[index] ? [] : [index]))).toEqual([mutant.line]);
        expect(() => parseScript(mutant.code)).not.toThrow();
      }
    }
  });

  it('never give the same text twice for one template', () => {
    for (const code of templates) {
      const texts = mutantsOf(code).map((mutant) => mutant.code);
      expect(new Set(texts).size).toBe(texts.length);
    }
  });

  it('all apply to some fragment', () => {
    const used = new Set(templates.flatMap((code) => mutantsOf(code).map(({ operator }) => operator)));
    expect([...lineOperators].filter((operator) => !used.has(operator))).toEqual([]);
  });

  it('know an edge from a flip, a bound from a constant, a start from an initial value', () => {
    const code =
      'exports.$f = ($list) => {\n  let $acc = 0;\n  for (let $i = 0; $i < $list.length; $i += 1) $acc += $list[$i];\n  return $acc;\n};';
    const found = mutantsOf(code).map(
      ({ operator, line, code: text }) => `${operator}: ${text.split('\n')[line]?.trim()}`,
    );
    expect(found).toContain('comparison-edge: for (let $i = 0; $i <= $list.length; $i += 1) $acc += $list[$i];');
    expect(found).toContain('comparison-flip: for (let $i = 0; $i > $list.length; $i += 1) $acc += $list[$i];');
    expect(found).toContain('loop-bound: for (let $i = 0; $i < $list.length - 1; $i += 1) $acc += $list[$i];');
    expect(found).toContain('loop-start: for (let $i = 1; $i < $list.length; $i += 1) $acc += $list[$i];');
    expect(found).toContain('initial: let $acc = 1;');
    expect(found).toContain('return: return;');
    expect(found).not.toContain('variable: return $i;');
  });
});
