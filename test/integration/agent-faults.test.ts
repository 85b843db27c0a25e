/**
 * Agents never notice: what goes wrong between a call and its reply, once in every turn, against what agents speak.
 *
 * A row is a fault, a column an agent: a tool-calling loop on a stock client, over sockets, in front of the proxy and a
 * scripted model whose ids no tokenizer would choose. The six agents of a row work at the same time. Whatever happens,
 * each finishes its task, runs each tool once, and leaves the record that an undisturbed agent leaves.
 *
 * Not here: real agents, and stalls as long as real ones are (test/agents/try-agents.ts --fault).
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { trajectoriesOf } from '../../src/learn/trajectories.ts';
import { pathOf, turnsOf } from '../../src/trajectory/turns.ts';
import { calm, failure, newWeights, stall } from '../agents/faulty-sampler.ts';
import { type Column, columnOf, columns, type Row, type RowRun, runRow, script, toolRuns } from './agent-faults.ts';
import { tokenizer } from './proxy-fixture.ts';

const waits = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
/** Or until the agents have waited so long that the row fails. */
const until = async (holds: () => boolean): Promise<void> => {
  for (const end = Date.now() + 10_000; !holds() && Date.now() < end; ) await waits(2);
};
const turns = columns.length * script.length;

const rows: Readonly<Record<string, Row>> = {
  'nothing goes wrong': {
    breaksOff: () => false,
    happened: ({ calls }) => calls === turns,
  },
  'the engine stalls, and keep-alives flow': {
    breaksOff: () => false,
    proxy: { keepAliveMs: 2 },
    // A reply as JSON has none.
    strike: (seen) =>
      stall(async (request) => {
        const column = columnOf(request);
        const before = seen.keepAlives.get(column) ?? 0;
        if (column.stream) await until(() => (seen.keepAlives.get(column) ?? 0) >= before + 2);
        else await waits(20);
      }),
    happened: ({ strikes, keepAlives }) =>
      strikes === turns && columns.every((column) => !column.stream || (keepAlives.get(column) ?? 0) >= 6),
  },
  'an agent loses its patience': {
    // Before the head of a reply, that is, and an event stream has its head at once.
    timeoutMs: 500,
    strike: () =>
      stall(async (request) => {
        const left = new Promise((resolve) => request.signal?.addEventListener('abort', resolve));
        if (!columnOf(request).stream) await Promise.race([left, waits(10_000)]);
      }),
    happened: ({ strikes, calls }) => strikes === turns && calls >= turns * 1.5,
  },
  'weights change in mid-reply': {
    breaksOff: () => false,
    versions: [0, 1],
    strike: () => newWeights,
    happened: ({ strikes, calls }) => strikes === turns && calls === 2 * turns,
  },
  'more calls than the proxy takes, 429': {
    breaksOff: () => false,
    proxy: { maxCalls: columns.length - 1 },
    strike: (seen) => stall(() => until(() => seen.statuses.includes(429))),
    happened: ({ statuses }) => statuses.includes(429),
  },
  'the engine fails before its first token': {
    breaksOff: () => false,
    strike: () => failure('at once'),
    happened: ({ strikes, calls }) => strikes === turns && calls === 2 * turns,
  },
  'the engine fails in mid-reply': {
    breaksOff: ({ stream }) => stream,
    strike: () => failure('in mid-reply'),
    happened: ({ strikes, calls }) => strikes === turns && calls === 2 * turns,
  },
  'the engine is killed in mid-reply': {
    breaksOff: () => false,
    killed: true,
    happened: ({ restarts, calls }) => restarts === 1 && calls === turns + columns.length,
  },
  'the connection drops before the reply': {
    breaksOff: () => false,
    cut: 'before the reply',
    happened: ({ cuts }) => cuts === turns,
  },
  'the connection drops in mid-reply': {
    breaksOff: () => true,
    cut: 'in mid-reply',
    happened: ({ cuts }) => cuts === turns,
  },
  'the connection drops behind a whole call': {
    breaksOff: () => true,
    cut: 'before the end',
    happened: ({ cuts, calls }) => cuts === turns && calls === turns,
  },
};

/** Clients wait for a second before they try again, so rows run at once, but for one that must not be kept waiting. */
const runs = new Map<Row, RowRun>();
const patience = 300_000;
beforeAll(async () => {
  const start = async (row: Row) => runs.set(row, await runRow({ strike: () => calm, ...row }));
  const isPatient = ({ timeoutMs }: Row): boolean => timeoutMs === undefined;
  await Promise.all(Object.values(rows).filter(isPatient).map(start));
  for (const row of Object.values(rows)) if (!isPatient(row)) await start(row);
}, patience);

describe.each(Object.entries(rows))('%s', (_, row) => {
  const run = (): RowRun => runs.get(row) as RowRun;

  it.each(columns)('$name: the agent finishes, and leaves the record of an undisturbed one', (column: Column) => {
    const { said, asksAgain, ran, facts, records } = run().of(column);
    expect(said.at(-1)?.text).toBe('The sums are right now.');
    expect(ran).toEqual(toolRuns);
    if (row.breaksOff !== undefined) expect(asksAgain).toBe(row.breaksOff(column) ? script.length : 0);
    expect(facts).toMatchObject({ turns: 3, exactTurns: 3, toolCalls: 3, retokenizedSampledTokens: 0 });
    expect(records.flatMap((record) => record.break?.cause ?? [])).toEqual([]);
    const recorded = turnsOf(records);
    expect(recorded.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(recorded.map(({ completion }) => tokenizer.decode(completion))).toEqual(run().words);
    for (const { versions } of recorded) expect([...new Set(versions)]).toEqual(row.versions ?? [0]);
    // One path from the first prompt to the last word: no turn twice, and none that the agent did not get.
    expect(trajectoriesOf(recorded).ids).toEqual([pathOf(recorded[2] as (typeof recorded)[2])]);
  });

  it('has happened', () => expect(row.happened(run()), `only ${JSON.stringify(run())}`).toBe(true));
});

it('a reply that was lost behind the system’s back is a branch, as a second sample would be', {
  timeout: patience,
}, async () => {
  const run = await runRow({ strike: () => calm, cut: 'before the end, closed' });
  for (const column of columns) {
    const { said, ran, facts, records } = run.of(column);
    expect([said.length, ran, facts.exactTurns]).toEqual([3, toolRuns, 6]);
    expect(records.flatMap(({ break: broken }) => broken?.cause ?? [])).toEqual(Array(3).fill('same-prompt'));
    expect(trajectoriesOf(turnsOf(records)).ids).toHaveLength(1);
  }
});
