/**
 * A row of the table of faults (agent-faults.test.ts): six agents at the same time, one proxy, and what stands in
 * their way.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { groupId, rolloutId } from '../../src/core/ids.ts';
import type { SessionFacts } from '../../src/core/session.ts';
import type { GenerateRequest } from '../../src/engine/engine.ts';
import type { ProxyOptions } from '../../src/proxy/proxy.ts';
import { Journal } from '../../src/trajectory/journal.ts';
import type { TurnRecord } from '../../src/trajectory/records.ts';
import type { ScriptedReply } from '../agents/agents.ts';
import { type Cut, type CutWire, startCutWire } from '../agents/cut-wire.ts';
import { FaultySampler, type Strike } from '../agents/faulty-sampler.ts';
import { startKillable } from '../agents/killable-engine.ts';
import { scriptedModel, textOf } from '../agents/scripted-task.ts';
import { type Rig, removeDirectory, sessionOptions, startRig, tokenizer } from './proxy-fixture.ts';
import { type DialectName, type Said, work } from './sdk-agents.ts';

export const script: readonly ScriptedReply[] = [
  {
    thinking: 'Both files first.',
    text: 'I read them.',
    calls: ['sum.js', 'check.js'].map((path) => ({ tool: 'read', arguments: { path } })),
  },
  { calls: [{ tool: 'mend', arguments: { path: 'sum.js' } }] },
  { text: 'The sums are right now.' },
];
export const toolRuns: readonly string[] = ['read sum.js', 'read check.js', 'mend sum.js'];

export interface Column {
  readonly name: string;
  readonly dialect: DialectName;
  readonly stream: boolean;
}

export const columns: readonly Column[] = (['chat', 'responses', 'messages'] as const).flatMap((dialect) =>
  [true, false].map((stream) => ({ name: `${dialect} as ${stream ? 'events' : 'JSON'}`, dialect, stream })),
);

const taskOf = ({ name }: Column): string => `Mend the sums (${name}).`;

/** Whose call it is. */
export function columnOf({ ids }: GenerateRequest): Column {
  const prompt = tokenizer.decode(ids);
  return columns.find((column) => prompt.includes(taskOf(column))) as Column;
}

/** A fault, and what agents may see of it. */
export interface Row {
  /** To the engine, once in every turn. */
  readonly strike?: (seen: Seen) => Strike;
  /** To the connection, once in every turn. */
  readonly cut?: Cut;
  /** The engine is a process, and dies while all six are in their second turn. */
  readonly killed?: true;
  readonly proxy?: Partial<ProxyOptions>;
  /** The clients'. */
  readonly timeoutMs?: number;
  /** Versions that every turn is sampled under. Default version 0. */
  readonly versions?: readonly number[];
  /** Whether calls break off so that the agent itself has to ask again, once in every turn. Absent: it depends. */
  readonly breaksOff?: (column: Column) => boolean;
  readonly happened: (run: RowRun) => boolean;
}

/** What came over the agents' connections. */
export interface Seen {
  readonly keepAlives: Map<Column, number>;
  readonly statuses: number[];
}

export interface RowRun extends Seen {
  readonly strikes: number;
  /** Of the sampler, continued ones too. */
  readonly calls: number;
  readonly cuts: number;
  readonly restarts: number;
  /** What the model says, with the stop token. */
  readonly words: readonly string[];
  of(column: Column): AgentRun;
}

export interface AgentRun {
  readonly said: readonly Said[];
  readonly asksAgain: number;
  readonly ran: readonly string[];
  readonly facts: SessionFacts;
  /** As they are on disk. */
  readonly records: readonly TurnRecord[];
}

export async function runRow(row: Partial<Row> & Required<Pick<Row, 'strike'>>): Promise<RowRun> {
  const directory = await mkdtemp(join(tmpdir(), 'espalier-faults-'));
  await using parts = new AsyncDisposableStack();
  parts.defer(() => removeDirectory(directory));
  const seen: Seen = { keepAlives: new Map(), statuses: [] };
  const engine = row.killed === true ? await startKillable(join(directory, 'script.json'), script, 1) : null;
  if (engine !== null) parts.defer(() => engine.close());
  const strike = engine?.killWhenHeld(columns.length) ?? row.strike(seen);
  const sampler = new FaultySampler(engine?.sampler ?? scriptedModel(script), strike, row.versions !== undefined);
  const rig = await startRig(sampler, join(directory, 'run'), row.proxy);
  const wire = row.cut === undefined ? null : await startCutWire(new URL(rig.proxy.url).origin, row.cut);
  const agents = await Promise.all(columns.map((column) => runAgent(column, rig, wire, seen, row.timeoutMs))).finally(
    async () => {
      await wire?.close();
      await rig.stop();
    },
  );
  const journal = await Journal.open(join(directory, 'run'));
  parts.defer(() => journal.close());
  const runs = new Map(
    agents.map((agent) => [agent.column, { ...agent, records: journal.index.turns(agent.rollout) }]),
  );
  return {
    ...seen,
    strikes: sampler.strikes,
    calls: sampler.calls,
    cuts: wire?.cuts ?? 0,
    restarts: engine?.restarts ?? 0,
    words: script.map((reply) => `${textOf(reply)}<|im_end|>`),
    of: (column) => runs.get(column) as AgentRun,
  };
}

async function runAgent(column: Column, rig: Rig, wire: CutWire | null, seen: Seen, timeoutMs: number | undefined) {
  const rollout = rolloutId(groupId('faults', 0), columns.indexOf(column));
  const session = await rig.proxy.sessions.open(rollout, sessionOptions);
  const ran: string[] = [];
  const tool = (name: string, answer: string) => (input: Readonly<Record<string, string>>) => {
    ran.push(`${name} ${input['path']}`);
    return answer;
  };
  const report = await work(column.dialect, {
    baseUrl: wire === null ? session.baseUrl : session.baseUrl.replace(new URL(session.baseUrl).origin, wire.origin),
    apiKey: session.apiKey,
    model: 'seedling',
    task: taskOf(column),
    stream: column.stream,
    ...(timeoutMs !== undefined && { timeoutMs }),
    fetch: watched(column, seen),
    tools: { read: tool('read', 'return a - b;'), mend: tool('mend', 'done') },
  });
  return { column, rollout, ...report, ran, facts: await session.close() };
}

/** Counts what an agent's client never shows. */
function watched(column: Column, { keepAlives, statuses }: Seen): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    statuses.push(response.status);
    if (response.body === null) return response;
    const count = new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        const found =
          Buffer.from(chunk)
            .toString('latin1')
            .match(/^: keep-alive$|^event: ping$/gm)?.length ?? 0;
        keepAlives.set(column, (keepAlives.get(column) ?? 0) + found);
        controller.enqueue(chunk);
      },
    });
    return new Response(response.body.pipeThrough(count), response);
  };
}
