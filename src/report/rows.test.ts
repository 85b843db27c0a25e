import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { evalRow, exampleEvaluations, exampleMetrics, exampleSummary, metricsRow } from '../../test/example-run.ts';
import { evalLine, metricsLine, readEvals, readMetrics, readSummary, summaryText } from './rows.ts';

describe('the rows of a run directory', () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'espalier-rows-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  const write = (name: string, text: string): void => writeFileSync(join(directory, name), text);

  it('are read back as they were written', () => {
    write('metrics.jsonl', exampleMetrics.map(metricsLine).join(''));
    write('eval.jsonl', exampleEvaluations.map(evalLine).join(''));
    write('summary.json', summaryText(exampleSummary));
    expect(readMetrics(directory)).toEqual(exampleMetrics);
    expect(readEvals(directory)).toEqual(exampleEvaluations);
    expect(readSummary(directory)).toEqual(exampleSummary);
  });

  it('are none before the run has written any', () => {
    expect(readMetrics(directory)).toEqual([]);
    expect(readEvals(directory)).toEqual([]);
    expect(readSummary(directory)).toBeNull();
  });

  it('lose a last line that a crash tore, wherever it was torn', () => {
    const torn = metricsLine(metricsRow(2));
    for (let length = 0; length < torn.length; length += 7) {
      write('metrics.jsonl', metricsLine(metricsRow(1)) + torn.slice(0, length));
      expect(readMetrics(directory)).toEqual([metricsRow(1)]);
    }
  });

  it('of another format version are refused with the place, both versions and the way out', () => {
    write('metrics.jsonl', `${metricsLine(metricsRow(1))}{"formatVersion":2}\n`);
    expect(() => readMetrics(directory)).toThrow(
      /metrics\.jsonl:2 has formatVersion 2, this release reads 1: read it with the release that wrote it/,
    );
    write('eval.jsonl', '{"step":1}\n');
    expect(() => readEvals(directory)).toThrow(/eval\.jsonl:1 has formatVersion null/);
  });

  it('that are no rows are refused with the field that is wrong', () => {
    write('eval.jsonl', `${JSON.stringify({ ...evalRow(0), decoding: 'beam' })}\n`);
    expect(() => readEvals(directory)).toThrow(/eval\.jsonl:1 is not a valid row: decoding: /);
    write('eval.jsonl', '{"formatVersion":\n');
    expect(() => readEvals(directory)).toThrow(/eval\.jsonl:1 is not JSON/);
  });

  it('are never written with a figure that could not be read back', () => {
    expect(() => metricsLine(metricsRow(1, { entropy: Number.NaN }))).toThrow();
    expect(JSON.parse(metricsLine(metricsRow(1, { entropy: null }))).entropy).toBeNull();
  });
});
