/** A process that records turns, killed at random moments, and what must be found afterwards. For scripts/kill-points.ts. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { setTimeout as wait } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { RolloutId } from '../../src/core/ids.ts';
import { Random, seedOf } from '../../src/core/random.ts';
import { crc32c } from '../../src/store/crc32c.ts';
import { diskFiles } from '../../src/store/disk-files.ts';
import { StoreWriter } from '../../src/store/writer.ts';
import { assistantBlock, type MessageBlock, messageBlocks } from '../../src/trajectory/canonical.ts';
import { storeDirectory } from '../../src/trajectory/journal.ts';
import { openIndex } from '../../src/trajectory/record-index/database.ts';
import { tableNames } from '../../src/trajectory/record-index/schema.ts';
import { encodeRecord, type TurnRecord } from '../../src/trajectory/records.ts';
import { readRun } from '../../src/trajectory/run-index.ts';
import { turnsOf } from '../../src/trajectory/turns.ts';

export interface KillOptions {
  readonly points: number;
  readonly seed: string;
  readonly say?: (line: string) => void;
}

export interface KillResult {
  readonly points: number;
  readonly acknowledged: number;
  readonly erased: number;
  readonly torn: number;
  readonly problems: readonly string[];
}

const pointsADirectory = 25;
const longestMs = 400;

/** A turn of made-up tokens that continues the one before it. */
export function turnOf(
  rollout: RolloutId,
  index: number,
  random: Random,
): { turn: TurnRecord; blocks: MessageBlock[] } {
  const words = (count: number): Int32Array => Int32Array.from({ length: count }, () => random.below(50_000));
  const completion = words(random.between(1, 40));
  const [said] = messageBlocks([{ role: 'user', content: `${rollout} says ${random.next()}` }]) as [MessageBlock];
  const reply = assistantBlock(`${random.next()}`, []);
  const turn: TurnRecord = {
    ...{
      type: 'turn',
      rollout,
      index,
      attempt: 0,
      parent: index === 0 ? null : index - 1,
      reused: index === 0 ? 0 : 1,
    },
    tail: words(random.between(1, 200)),
    completion,
    behaviorLogprobs: Float32Array.from(completion, (id) => -id / 7),
    entropies: Float32Array.from(completion, (id) => id / 3),
    versions: new Int32Array(completion.length),
    ...{ finishReason: 'stop', truncatedBy: null, fidelity: 'exact', toolCallCount: 0, retokenizedSampledTokens: 0 },
    ...{ break: null, requestKey: `${index}`, tools: '', messagesReused: 0, messages: [said.key], reply: reply.key },
    wishes: {},
  };
  return { turn, blocks: [said, reply] };
}

/** Of all that a turn's record holds. */
export const checkOf = (turn: TurnRecord): number => crc32c(encodeRecord(turn).payload);

interface Ledger {
  /** Check by `ROLLOUT INDEX`. */
  readonly acknowledged: Map<string, number>;
  readonly erasing: Set<string>;
  readonly erased: Set<string>;
}

export async function killPoints({ points, seed, say }: KillOptions): Promise<KillResult> {
  const result = { points: 0, acknowledged: 0, erased: 0, torn: 0, problems: [] as string[] };
  const random = new Random(seedOf('kill-points', seed));
  while (result.points < points) {
    const run = await mkdtemp(join(tmpdir(), 'espalier-kill-points-'));
    const ledger: Ledger = { acknowledged: new Map(), erasing: new Set(), erased: new Set() };
    for (let point = 0; point < pointsADirectory && result.points < points; point++) {
      await writeAndKill(run, result.points++, seed, ledger, random);
      const { problems, torn } = await judge(run, ledger);
      if (torn) result.torn++;
      result.problems.push(...problems.map((problem) => `point ${result.points}: ${problem}`));
      say?.(`${result.points}/${points}: ${ledger.acknowledged.size} turns, ${problems[0] ?? 'all there'}`);
      if (problems.length > 0) return result;
    }
    result.acknowledged += ledger.acknowledged.size;
    result.erased += ledger.erased.size;
    await rm(run, { recursive: true });
  }
  return result;
}

async function writeAndKill(run: string, life: number, seed: string, ledger: Ledger, random: Random): Promise<void> {
  const script = new URL('turn-writer.ts', import.meta.url).pathname;
  // Most of a short life is loading its modules.
  const env = { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'espalier-kill-points-cache') };
  const args = [script, run, String(life), seed];
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  await wait(random.below(longestMs));
  child.kill('SIGKILL');
  await once(child, 'close');
  for (const line of output.split('\n').slice(0, -1)) {
    const [what, rollout, index, check] = line.split(' ') as [string, string, string, string];
    if (what === 'turn') ledger.acknowledged.set(`${rollout} ${index}`, Number(check));
    else if (what === 'erasing') ledger.erasing.add(rollout);
    else ledger.erased.add(rollout);
  }
}

async function judge(run: string, ledger: Ledger): Promise<{ readonly problems: string[]; readonly torn: boolean }> {
  const directory = storeDirectory(run);
  if (!existsSync(directory)) return { problems: [], torn: false };
  const problems: string[] = [];
  const record = await readRun(directory);
  const found = new Map<string, number>();
  for (const rollout of record.rollouts()) {
    turnsOf(record.turns(rollout));
    for (const turn of record.turns(rollout)) {
      const name = `${rollout} ${turn.index}`;
      if (found.has(name)) problems.push(`${name} is there twice`);
      found.set(name, checkOf(turn));
      if ([...turn.messages, turn.reply].some((key) => record.messageBody(key) === null))
        problems.push(`${name} lacks a message`);
    }
    if (ledger.erased.has(rollout)) problems.push(`${rollout} is there, and was erased`);
  }
  for (const [name, check] of ledger.acknowledged) {
    const rollout = name.split(' ')[0] as string;
    // An erasure that was under way has taken all of it, or nothing.
    const isGone = ledger.erasing.has(rollout) && record.turns(rollout as RolloutId).length === 0;
    if (!isGone && found.get(name) !== check)
      problems.push(`${name} was acknowledged and is ${found.has(name) ? 'another' : 'lost'}`);
    if (isGone) ledger.acknowledged.delete(name);
  }
  problems.push(...(await indexProblems(directory)));
  // What the next writer does with the tail.
  const store = await StoreWriter.open(directory);
  await store.close();
  return { problems, torn: store.report.cut !== null };
}

async function indexProblems(directory: string): Promise<string[]> {
  const grown = await openIndex(join(directory, 'grown.sqlite'), diskFiles, directory);
  const anew = await openIndex(':memory:', diskFiles, directory);
  const isEqual = isDeepStrictEqual(rowsOf(grown.database), rowsOf(anew.database));
  grown.database.close();
  anew.database.close();
  return isEqual ? [] : ['the index that has grown differs from one that is built anew'];
}

const rowsOf = (database: DatabaseSync) => tableNames.map((name) => database.prepare(`SELECT * FROM ${name}`).all());
