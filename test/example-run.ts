/** A made-up run for tests of what people see: figures are plausible, and none was measured. */
import type { Message } from '../src/core/message.ts';
import type { Verdict } from '../src/core/verdict.ts';
import type { Report } from '../src/report/report.ts';
import type { EvalRow, MetricsRow, SetSummary, Summary } from '../src/report/rows.ts';
import type { Transcript } from '../src/report/transcript.ts';

export const exampleSteps = 8;

export function metricsRow(step: number, change: Partial<MetricsRow> = {}): MetricsRow {
  return {
    formatVersion: 1,
    step,
    version: step,
    seconds: 2.5,
    passRate: 0.4 + 0.05 * step,
    reward: 0.4 + 0.05 * step,
    turnsMean: 4.6 + 0.1 * step,
    parallelShare: 0.07,
    sampledTokens: 4200,
    treeTokens: 5000,
    flatTokensPerRequest: 41000,
    flatTokensMerged: 14000,
    maxLogprobGap: step % 2 === 1 ? 0 : null,
    gapTokens: step % 2 === 1 ? 4200 : 0,
    retokenizedSampledTokens: 0,
    turns: 430,
    exactTurns: 430,
    entropy: 0.17,
    clipFraction: 0.001,
    droppedGroups: 2,
    failures: 0,
    ...change,
  };
}

export function evalRow(step: number, change: Partial<EvalRow> = {}): EvalRow {
  const passRate = 0.4 + 0.05 * step;
  return {
    formatVersion: 1,
    step,
    version: step,
    seconds: 6,
    set: 'unseen',
    decoding: 'sampled',
    passRate,
    low: passRate - 0.05,
    high: passRate + 0.05,
    tasks: 300,
    rollouts: 300,
    turnsMean: 5,
    parallelShare: 0.1,
    ...change,
  };
}

export const exampleMetrics: readonly MetricsRow[] = Array.from({ length: exampleSteps }, (_, i) => metricsRow(i + 1));

export const exampleEvaluations: readonly EvalRow[] = [0, 4, 8].flatMap((step) => [
  evalRow(step),
  evalRow(step, { decoding: 'greedy', low: null, high: null }),
  evalRow(step, { set: 'transfer', passRate: 0.3 + 0.05 * step }),
]);

function setSummary(set: EvalRow['set'], decoding: EvalRow['decoding']): SetSummary {
  const rows = exampleEvaluations.filter((row) => row.set === set && row.decoding === decoding);
  const [first, last] = [rows[0], rows.at(-1)];
  if (first === undefined || last === undefined) throw new Error(`the example has no ${set}, ${decoding}`);
  const difference = last.passRate - first.passRate;
  return { set, decoding, first, last, difference, low: 0.33, high: 0.46, passAt8First: 0.7, passAt8Last: null };
}

export const exampleSummary: Summary = {
  formatVersion: 1,
  steps: exampleSteps,
  seconds: 187,
  sets: [setSummary('unseen', 'sampled'), setSummary('unseen', 'greedy'), setSummary('transfer', 'sampled')],
};

export const exampleMessages: readonly Message[] = [
  { role: 'system', content: 'Repair the repository.' },
  { role: 'user', content: 'clamp(value, low, high) must hold value within low and high.' },
  {
    role: 'assistant',
    content: '',
    toolCalls: [
      { id: 'a', name: 'read', arguments: '{"path":"src/clamp.js"}' },
      { id: 'b', name: 'test', arguments: '{}' },
    ],
  },
  { role: 'tool', toolCallId: 'b', content: '1 passed, 2 failed' },
  { role: 'tool', toolCallId: 'a', content: 'src/clamp.js\n1 module.exports = (value) => value;' },
  {
    role: 'assistant',
    content: 'The edge is wrong.',
    toolCalls: [{ id: 'c', name: 'edit', arguments: '{"path":"src/clamp.js","line":1' }],
  },
  { role: 'tool', toolCallId: 'c', content: 'error: the arguments are not JSON' },
  { role: 'assistant', content: 'Done.', toolCalls: [] },
];

export const exampleVerdict: Verdict = {
  tests: [
    { id: 'test/clamp.test.js > holds the low end', status: 'passed' },
    { id: 'test/clamp.test.js > holds the high end', status: 'failed' },
  ],
  missing: [],
  unexpected: [],
  canariesHeld: true,
  completed: true,
  changedPaths: ['src/clamp.js'],
  droppedPaths: [],
};

export const exampleTranscript: Transcript = {
  rollout: 'eval/0/unseen/greedy/group/17/rollout/0',
  version: 0,
  messages: exampleMessages,
  outcome: { status: 'completed' },
  verdict: exampleVerdict,
};

export const exampleReport: Report = {
  name: 'start',
  facts: [{ name: 'seed', value: '0' }],
  metrics: exampleMetrics,
  evaluations: exampleEvaluations,
  summary: exampleSummary,
  example: {
    task: 'seedlings/unseen/17',
    statement: 'clamp(value, low, high) must hold value within low and high.',
    before: exampleTranscript,
    after: { ...exampleTranscript, version: 8 },
  },
};
