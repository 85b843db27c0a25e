/**
 * Loads broken model folders and holds every outcome against what may happen: the model is loaded, or there is one line
 * that names the file at fault. Never a crash, a hang, another exception, or memory that the folder's size does not
 * explain.
 *
 * Stops by itself; equal options load equal folders.
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random, seedOf } from '../../src/core/random.ts';
import { writeCheckpoint } from '../../src/engine/checkpoint.ts';
import { randomCheckpoint } from '../../src/engine/random-checkpoint.ts';
import { trainBpe } from '../../src/tokens/bpe-trainer.ts';
import { compactTemplate } from '../../src/tokens/compact-template.ts';
import { type Folder, type FolderCase, folderCase } from './checkpoint-cases.ts';
import type { Loaded } from './checkpoint-child.ts';

export interface CheckpointFuzzOptions {
  readonly runs: number;
  readonly seed: string;
  readonly onProgress?: (report: CheckpointFuzzReport) => void;
}

export interface CheckpointFuzzReport {
  readonly runs: number;
  readonly seconds: number;
  /** Runs by kind and outcome. */
  readonly outcomes: ReadonlyMap<string, Readonly<Record<string, number>>>;
  readonly faults: readonly string[];
  readonly mostRss: number;
}

const deadlineMs = 120_000;
/** Beyond what node itself takes: the folders are a few kilobytes. */
const mostRss = 1200 << 20;
const mostFaults = 20;
const files =
  /config\.json|tokenizer\.json|tokenizer_config\.json|generation_config\.json|\.safetensors|chat_template\.jinja|chat template|model folder/;

export async function fuzzCheckpoints({
  runs,
  seed,
  onProgress,
}: CheckpointFuzzOptions): Promise<CheckpointFuzzReport> {
  const started = performance.now();
  const scratch = await mkdtemp(join(tmpdir(), 'espalier-fuzz-'));
  const outcomes = new Map<string, Record<string, number>>();
  const faults: string[] = [];
  let most = 0;
  let done = 0;
  const report = (): CheckpointFuzzReport => {
    const seconds = (performance.now() - started) / 1000;
    return { runs: done, seconds, outcomes, faults, mostRss: most };
  };
  let loader = new Loader();
  try {
    const good = await goodFolders(scratch);
    for (; done < runs && faults.length < mostFaults; done++) {
      const random = new Random(seedOf(seed, done));
      const hostile: FolderCase =
        done < good.length ? { kind: 'good', folder: good[done] as Folder } : folderCase(random, random.pick(good));
      const directory = join(scratch, 'model');
      await writeFolder(directory, hostile.folder);
      let fault: string | null;
      try {
        const loaded = await loader.load(directory);
        most = Math.max(most, loaded.rss);
        const row = outcomes.get(hostile.kind) ?? {};
        outcomes.set(hostile.kind, { ...row, [loaded.outcome]: (row[loaded.outcome] ?? 0) + 1 });
        fault = faultOf(hostile.kind, loaded);
      } catch (thrown) {
        fault = (thrown as Error).message;
        loader.end();
        loader = new Loader();
      }
      if (fault !== null) faults.push(`run ${done} (${hostile.kind}): ${fault}`);
      if (done % 100 === 99) onProgress?.(report());
    }
    return report();
  } finally {
    loader.end();
    await rm(scratch, { recursive: true, force: true });
  }
}

function faultOf(kind: string, { outcome, message, rss }: Loaded): string | null {
  if (rss > mostRss) return `${rss} bytes of memory`;
  if (outcome === 'loaded') return null;
  if (kind === 'good') return `a good folder does not load: ${message}`;
  if (outcome === 'broken') return message;
  if (message.includes('\n') || message.length > 2000) return `not one line: ${message.slice(0, 500)}`;
  return files.test(message) ? null : `no file is named: ${message}`;
}

/** A tiny model with a trained tokenizer, in one file and in shards. */
async function goodFolders(scratch: string): Promise<Folder[]> {
  const added = ['<|im_start|>', '<|im_end|>'].map((content) => ({ content, special: true }));
  const { tokenizerJson, tokenizerConfig } = trainBpe(['return readFile(path) + 1;\n'.repeat(3)], {
    vocabSize: 370,
    addedTokens: added,
    eosToken: '<|im_end|>',
  });
  const vocabSize = Math.max(...tokenizerJson.added_tokens.map(({ id }) => id)) + 1;
  const shape = {
    ...{ vocabSize, hiddenSize: 8, intermediateSize: 12, layerCount: 2, headCount: 2, kvHeadCount: 1, headDim: 4 },
    ...{ ropeTheta: 10_000, normEpsilon: 1e-6, tiedEmbeddings: true, qkNorm: true, contextLength: 128 },
  };
  const text = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const checkpoint = randomCheckpoint(
    shape,
    5n,
    new Map([
      ['tokenizer.json', text(tokenizerJson)],
      ['tokenizer_config.json', text(tokenizerConfig)],
      ['chat_template.jinja', Buffer.from(compactTemplate)],
      ['generation_config.json', text({ eos_token_id: [vocabSize - 1] })],
    ]),
  );
  return Promise.all(
    [1 << 30, 3000].map(async (maxShardBytes) => {
      const directory = join(scratch, `good-${maxShardBytes}`);
      await writeCheckpoint(directory, checkpoint, { maxShardBytes });
      const names = await readdir(directory);
      return new Map(
        await Promise.all(names.map(async (name) => [name, await readFile(join(directory, name))] as const)),
      );
    }),
  );
}

export async function writeFolder(directory: string, folder: Folder): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  for (const [name, entry] of folder) {
    const path = join(directory, name);
    if (entry === 'folder') await mkdir(path);
    else if (entry === 'pipe') execFileSync('mkfifo', [path]);
    else if (entry instanceof Uint8Array) await writeFile(path, entry);
    else await symlink(entry.linkTo, path);
  }
}

/** checkpoint-child.ts; end it after a rejection. */
class Loader {
  readonly #child: ChildProcess = fork(new URL('./checkpoint-child.ts', import.meta.url), {
    execArgv: ['--disable-warning=ExperimentalWarning', '--max-old-space-size=512'],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });

  load(directory: string): Promise<Loaded> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no outcome after ${deadlineMs} ms`)), deadlineMs);
      const ended = (code: number | null, signal: string | null): void => {
        clearTimeout(timer);
        reject(new Error(`the process ended: ${code ?? signal}`));
      };
      this.#child.once('exit', ended);
      this.#child.once('message', (loaded) => {
        clearTimeout(timer);
        this.#child.off('exit', ended);
        resolve(loaded as Loaded);
      });
      this.#child.send(directory);
    });
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}
