/**
 * A run that takes seconds: a random model with a real tokenizer, and the command line in a process of its own.
 *
 * A random model repairs nothing, so the pass teaches it nothing; what it is rewarded for here is to call tools, which
 * random tokens do now and then. The reward is a module, as a user's would be.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeCheckpoint } from '../../src/engine/checkpoint.ts';
import { randomCheckpoint } from '../../src/engine/random-checkpoint.ts';
import { builtinTools, systemPrompt } from '../../src/harness/tools.ts';
import type { RunConfigInput } from '../../src/run/config.ts';
import { chatTemplate, endToken, fixedStretches, padToken, specialTokens } from '../../src/run/seedling/format.ts';
import { seedlings } from '../../src/tasks/seedlings/seedlings.ts';
import { trainBpe } from '../../src/tokens/bpe-trainer.ts';
import { ChatTemplate } from '../../src/tokens/chat-template.ts';
import { writeTokenizer } from '../../src/tokens/load.ts';
import { Tokenizer } from '../../src/tokens/tokenizer.ts';

export const root = join(import.meta.dirname, '..', '..');

const contextLength = 1024;

/** A tokenizer in the seedling format, trained on the statements and files of a few tasks. */
export function smallTokenizer(vocabSize: number) {
  const template = new ChatTemplate(chatTemplate, { bos_token: null, eos_token: endToken });
  const train = seedlings('seedlings/train');
  const corpus = Array.from({ length: 40 }, (_, index) => {
    const task = train.task(index);
    const said = [systemPrompt, task.statement, ...Object.values(task.files)];
    return template.render(
      said.map((content) => ({ role: 'user', content })),
      builtinTools,
      false,
    );
  });
  return trainBpe(corpus, {
    vocabSize,
    addedTokens: [
      ...specialTokens.map((content) => ({ content, special: true })),
      ...fixedStretches.map((content) => ({ content, special: false })),
    ],
    eosToken: endToken,
    padToken,
    contextLength,
  });
}

/** Writes a model folder of random weights: 50 thousand parameters, a vocabulary hardly larger than the bytes. */
export async function writeTinyModel(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const trained = smallTokenizer(450);
  await writeTokenizer(directory, trained, chatTemplate);
  const names = ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'];
  const files = new Map<string, Uint8Array>();
  for (const name of names) files.set(name, await readFile(join(directory, name)));
  const shape = {
    vocabSize: new Tokenizer(trained.tokenizerJson, trained.tokenizerConfig).vocabSize,
    hiddenSize: 32,
    intermediateSize: 64,
    layerCount: 2,
    headCount: 2,
    kvHeadCount: 1,
    headDim: 16,
    ropeTheta: 10_000,
    normEpsilon: 1e-6,
    tiedEmbeddings: true,
    qkNorm: true,
    contextLength,
  };
  await writeCheckpoint(directory, randomCheckpoint(shape, 7n, files));
}

/** Three batches of a few short rollouts, evaluated and saved after each. */
const tinyRun: RunConfigInput = {
  name: 'tiny',
  model: 'model',
  reward: './reward.ts',
  batches: 3,
  rollout: { groupsPerBatch: 2, groupSize: 3, maxDraws: 12, maxTurns: 3, maxTokensPerTurn: 32, timeMs: 600_000 },
  learn: { learningRate: 3e-3 },
  evaluation: { sets: ['seedlings/unseen'], tasks: 4, tasksBetween: 2, every: 1 },
  engine: { threads: 1, cacheBlocks: 1024 },
  checkpointEvery: 1,
};

const rewardModule = `export default (verdict, facts) => Math.min(1, (facts.turns - 1) / 2);\n`;

/** A folder to work in: `model/`, `reward.ts`, `espalier.config.ts`. */
export async function makeWorkplace(changes: RunConfigInput = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'espalier-run-'));
  await writeTinyModel(join(folder, 'model'));
  await writeFile(join(folder, 'reward.ts'), rewardModule);
  await writeConfig(folder, changes);
  return folder;
}

export async function writeConfig(folder: string, changes: RunConfigInput, name = 'espalier.config.ts'): Promise<void> {
  await writeFile(join(folder, name), `export default ${JSON.stringify({ ...tinyRun, ...changes }, null, 2)};\n`);
}

export interface Ended {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** What it has written to stdout so far. */
  stdout(): string;
}

/** Halves what starting a process costs. */
const compileCache = join(tmpdir(), 'espalier-compile-cache');

export interface StartOptions {
  /** Bounds the size of any file that it writes, in units of 512 bytes. */
  readonly blocks?: number;
  /** A process group of its own, as a shell gives one: what Ctrl-C reaches. */
  readonly ownGroup?: boolean;
}

/** Starts `espalier ARGS` in a folder. */
export function startEspalier(
  folder: string,
  args: readonly string[],
  { blocks, ownGroup }: StartOptions = {},
): Started {
  const command = [process.execPath, join(root, 'src/cli/espalier.ts'), ...args];
  const env = { NODE_COMPILE_CACHE: compileCache, ...process.env };
  const options = { cwd: folder, env, detached: ownGroup === true };
  const child =
    blocks === undefined
      ? spawn(command[0] as string, command.slice(1), options)
      : spawn('sh', ['-c', `ulimit -f ${blocks}; exec "$@"`, 'sh', ...command], options);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk;
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { child, ended, stdout: () => stdout };
}

export function espalier(folder: string, ...args: readonly string[]): Promise<Ended> {
  return startEspalier(folder, args).ended;
}

/** The rows of a `.jsonl` file, every line of which must be whole. */
export function rowsOf(run: string, name: string): Record<string, unknown>[] {
  const lines = readFileSync(join(run, name), 'utf8').split('\n');
  if (lines.pop() !== '') throw new Error(`${name} ends in a torn line`);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}
