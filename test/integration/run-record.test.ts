import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RecordedRow } from '../../src/bench/benches/recorded.ts';
import { replayRun } from '../../src/run/replay.ts';
import { scoreFile } from '../../src/run/score.ts';
import { readFrames } from '../../src/store/reader.ts';
import { StoreWriter } from '../../src/store/writer.ts';
import { storeDirectory } from '../../src/trajectory/journal.ts';
import { decodeRecord, encodeRecord, type ManifestRecord, type RunRecord } from '../../src/trajectory/records.ts';
import { pathOf, type RecordedTurn, turnsOf } from '../../src/trajectory/turns.ts';
import { type Ended, espalier, makeWorkplace, rowsOf } from './run-fixture.ts';
import { recordOf } from './run-kill.ts';

let folder = '';
let run = '';
let ended: Ended;
const patience = 300_000;

beforeAll(async () => {
  folder = await makeWorkplace({ batches: 2 });
  run = join(folder, 'run');
  ended = await espalier(folder, 'train', '--run', 'run', '--seed', '3');
}, patience);
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the rows of a run', () => {
  it('have the fields that scripts read, and no others', () => {
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    const metrics =
      'formatVersion step version seconds passRate reward turnsMean parallelShare sampledTokens treeTokens ' +
      'flatTokensPerRequest flatTokensMerged maxLogprobGap gapTokens retokenizedSampledTokens turns exactTurns entropy ' +
      'clipFraction droppedGroups failures';
    for (const row of rowsOf(run, 'metrics.jsonl')) expect(Object.keys(row)).toEqual(metrics.split(' '));
    const evaluation =
      'formatVersion step version seconds set decoding passRate low high tasks rollouts turnsMean parallelShare';
    for (const row of rowsOf(run, 'eval.jsonl')) expect(Object.keys(row)).toEqual(evaluation.split(' '));
  });

  it('say that sampling and training computed the same bits, in the first step of every batch', async () => {
    const firsts = (await recordOf(run)).manifests.map(({ step }) => step + 1);
    const rows = rowsOf(run, 'metrics.jsonl');
    expect(rows.map(({ step }) => step)).toEqual(rows.map((_, index) => index + 1));
    expect(rows.length).toBeGreaterThan(firsts.length);
    for (const row of rows) {
      const isFirst = firsts.includes(Number(row['step']));
      expect(row['maxLogprobGap']).toBe(isFirst ? 0 : null);
      expect(Number(row['gapTokens']) > 0).toBe(isFirst);
      expect(row).toMatchObject({ retokenizedSampledTokens: 0, exactTurns: row['turns'], failures: 0 });
    }
  });
});

describe('espalier bench trie --run', () => {
  it(
    'compares recorded groups, as requests and merged, and prints one JSON object',
    async () => {
      const bench = await espalier(folder, 'bench', 'trie', '--quick', '--json', '--run', 'run');
      expect(bench.code).toBe(0);
      const { figures } = JSON.parse(bench.stdout) as { readonly figures: { readonly recorded: RecordedRow[] } };
      const [requests, merged] = figures.recorded as [RecordedRow, RecordedRow];
      expect(figures.recorded.map(({ samples }) => samples)).toEqual(['per request', 'merged']);
      expect(requests.flatTokens).toBeGreaterThan(merged.flatTokens);
      for (const { recomputedTokens, tokenRatio, flopBound, gradientsDifferBy } of figures.recorded) {
        expect(recomputedTokens).toBe(0);
        expect(flopBound).toBeGreaterThan(1);
        expect(flopBound).toBeLessThan(tokenRatio);
        expect(gradientsDifferBy).toBeLessThan(1e-4);
      }
    },
    patience,
  );
});

describe('espalier replay', () => {
  it(
    'makes every checkpoint again, byte by byte, from the run directory alone',
    async () => {
      const moved = join(folder, 'moved');
      await cp(run, moved, { recursive: true });
      expect(await espalier('/', 'replay', moved)).toMatchObject({ code: 0, stdout: 'replay: byte-equal\n' });
    },
    patience,
  );

  it(
    'names the checkpoint, the file and the byte that differ',
    async () => {
      const last = (await recordOf(run)).versions.at(-1)?.version;
      const other = await copyOf(run, 'checkpoint');
      await flipByte(join(other, `checkpoints/${last}/model.safetensors`), 2000);
      expect(await espalier(folder, 'replay', other)).toMatchObject({
        code: 1,
        stdout: `replay: differs (checkpoints/${last}/model.safetensors from byte 2000 on)\n`,
      });
    },
    patience,
  );

  it(
    'finds a reward that was changed in the record',
    async () => {
      const other = await copyOf(run, 'reward');
      let first: ManifestRecord | null = null;
      await rewriteRecord(other, (record) => {
        if (record.type !== 'manifest' || first !== null) return record;
        first = record;
        return {
          ...record,
          groups: record.groups.map((group) => ({ ...group, rewards: group.rewards.map((reward) => 1 - reward) })),
        };
      });
      const { equal, difference } = await replayRun(other, () => undefined);
      expect(equal).toBe(false);
      expect(difference).toMatch(/^checkpoints\/\d+\/model.safetensors from byte \d+ on$/);
    },
    patience,
  );

  it('does not believe a record with a flipped byte', async () => {
    const other = await copyOf(run, 'store');
    const segment = join(storeDirectory(other), '0001-000000000000.segment');
    await flipByte(segment, 5000);
    await expect(replayRun(other, () => undefined)).rejects.toThrow(/0001-000000000000.segment is damaged at byte \d+/);
  });

  async function copyOf(original: string, name: string): Promise<string> {
    const copy = join(folder, name);
    await cp(original, copy, { recursive: true });
    return copy;
  }

  async function flipByte(path: string, at: number): Promise<void> {
    const bytes = await readFile(path);
    bytes[at] = (bytes[at] as number) ^ 1;
    await writeFile(path, bytes);
  }
});

describe('espalier score', () => {
  it('gives the bits that were recorded, for turns of every version and decoding', async () => {
    const record = await recordOf(run);
    const turns = record.rollouts().flatMap((rollout) => turnsOf(record.turns(rollout)));
    const versions = [...new Set(turns.map(versionOf))];
    expect(versions.length).toBe(3);
    for (const version of versions) {
      const own = turns.filter((turn) => versionOf(turn) === version);
      for (const turn of [...own.slice(0, 3), ...own.slice(-3)]) {
        const { logprobs } = await scoreFile(checkpointOf(turn), await idsFile(turn), false);
        expect(logprobs.slice(turn.prompt.length - 1)).toEqual([...turn.behaviorLogprobs]);
      }
    }
  });

  it('prints them in full', async () => {
    const record = await recordOf(run);
    const turn = turnsOf(record.turns(record.rollouts().at(-1)!)).at(-1)!;
    const { stdout, code } = await espalier(folder, 'score', checkpointOf(turn), '--ids', await idsFile(turn));
    expect(code).toBe(0);
    const { logprobs } = JSON.parse(stdout) as { readonly logprobs: readonly number[] };
    expect(logprobs.slice(turn.prompt.length - 1)).toEqual([...turn.behaviorLogprobs]);
  });

  const versionOf = (turn: RecordedTurn): number => turn.versions[0] as number;
  const checkpointOf = (turn: RecordedTurn): string => join(run, 'checkpoints', String(versionOf(turn)));

  async function idsFile(turn: RecordedTurn): Promise<string> {
    const path = join(folder, 'ids.json');
    await writeFile(path, JSON.stringify([...pathOf(turn)]));
    return path;
  }
});

/** Writes a run's record anew, with valid frames. */
async function rewriteRecord(path: string, change: (record: RunRecord) => RunRecord): Promise<void> {
  const directory = storeDirectory(path);
  const records: RunRecord[] = [];
  for await (const frame of readFrames(directory)) records.push(decodeRecord(frame.kind, frame.payload));
  await rm(directory, { recursive: true });
  const store = await StoreWriter.open(directory);
  for (const record of records) {
    const { kind, payload } = encodeRecord(change(record));
    await store.append(kind, payload);
  }
  await store.close();
}
