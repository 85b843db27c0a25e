/**
 * Real agents from npm, unmodified: how each is installed, started, and kept on loopback.
 *
 * Not here: what the model says (scripted-task.ts) and what must come of it (try-agents.ts). A file in kinds/ is one
 * agent; it exports `kind`.
 *
 * Invariants:
 * 1. Nothing of an agent is in this repository: packages lie in a cache folder, versions are exact.
 * 2. An agent sees an environment, a home and a working folder of its own, nothing of the user's.
 * 3. It reaches loopback only: every other address is behind a proxy that does not exist, and try-agents.ts puts
 *    the whole process into a network of its own where the machine allows it.
 */
import { spawn } from 'node:child_process';
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import type { BreakCause } from '../../src/trajectory/records.ts';

/** Where one try takes place. Absolute paths. */
export interface Place {
  /** Has `node_modules` with the packages of the kind. */
  readonly installed: string;
  readonly home: string;
  /** The agent's working folder, a git repository: scripted-task.ts. */
  readonly work: string;
  /** `http://127.0.0.1:4123/s/<session>/v1` */
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly model: string;
  /** What the user asks for. */
  readonly task: string;
}

export interface Launch {
  /** Program and arguments. Started in `place.work`, without standard input. */
  readonly argv: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  /** Written before the start: absolute path to text. */
  readonly files?: Readonly<Record<string, string>>;
}

/** A call of one of the agent's own tools, under its own names. */
export interface ScriptedCall {
  readonly tool: string;
  /** A JSON value; anything but an object is a fault of the model, which the agent must be able to answer. */
  readonly arguments: unknown;
}

/** One reply of the model: text, calls, or both. */
export interface ScriptedReply {
  readonly thinking?: string;
  readonly text?: string;
  readonly calls?: readonly ScriptedCall[];
}

export interface AgentKind {
  readonly name: string;
  /** Package to exact version. The first one is the agent; its version is the one that is printed. */
  readonly packages: Readonly<Record<string, string>>;
  /** Where they are installed, in the cache; kinds of equal packages share it. Default `name`. */
  readonly folder?: string;
  /** Read a file, edit it, run a command, and a last reply without calls: scripted-task.ts has what they are about. */
  readonly replies: (place: Place) => readonly ScriptedReply[];
  readonly launch: (place: Place) => Launch;
  /** The reply to a request beside the task (a title, a summary), by the text of its prompt; null for the task's own. */
  readonly aside?: (prompt: string) => string | null;
  /** Causes of breaks that this agent's requests have by right, with the reason in a comment. Default none. */
  readonly breaks?: readonly BreakCause[];
  /** Turns that cannot be exact, as the agent takes a sampled reply into another conversation. Default 0. */
  readonly observed?: number;
  /** Answers that it is given by right and that are no turn, e.g. `HEAD / 404`. Default none. */
  readonly refusals?: readonly string[];
}

const cacheFolder = process.env['ESPALIER_AGENTS'] ?? join(homedir(), '.cache', 'espalier', 'agents');

export const versionOf = (kind: AgentKind): string => Object.values(kind.packages)[0] as string;

/** Installs what is missing with npm. Gives the folder; throws with npm's last lines when it cannot. */
export async function install(kind: AgentKind): Promise<string> {
  const folder = join(cacheFolder, kind.folder ?? kind.name);
  if (await isInstalled(folder, kind)) return folder;
  await mkdir(folder, { recursive: true });
  const packages = Object.entries(kind.packages).map(([name, version]) => `${name}@${version}`);
  const options = ['--no-audit', '--no-fund', '--save-exact', '--prefix', folder];
  const { code, output } = await run('npm', ['install', ...options, ...packages], { timeoutMs: 600_000 });
  if (code !== 0) throw new Error(`npm install ${packages.join(' ')}: ${output.slice(-600)}`);
  return folder;
}

async function isInstalled(folder: string, kind: AgentKind): Promise<boolean> {
  for (const [name, version] of Object.entries(kind.packages)) {
    try {
      const manifest: unknown = JSON.parse(await readFile(join(folder, 'node_modules', name, 'package.json'), 'utf8'));
      if ((manifest as { version?: unknown }).version !== version) return false;
    } catch {
      return false;
    }
  }
  return true;
}

/** The path of a program that a package of the kind brought. Throws when there is none. */
export async function programOf(installed: string, name: string): Promise<string> {
  const path = join(installed, 'node_modules', '.bin', name);
  await access(path);
  return path;
}

export interface Ended {
  /** Null when a signal ended it: it ran too long. */
  readonly code: number | null;
  /** Standard output and error, as they came. */
  readonly output: string;
}

/** Starts the agent in its place and waits until it ends, at most `timeoutMs`. */
export async function runAgent(kind: AgentKind, place: Place, timeoutMs: number): Promise<Ended> {
  const { argv, env, files } = kind.launch(place);
  for (const [path, text] of Object.entries(files ?? {})) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  const [program, ...rest] = argv;
  return run(program, rest, { timeoutMs, cwd: place.work, env: { ...surroundings(place), ...env } });
}

/** A port at which nothing listens: what does not keep to loopback fails at once. */
const nowhere = 'http://127.0.0.1:9';

function surroundings({ installed, home }: Place): Record<string, string> {
  const path = [
    dirname(process.execPath),
    join(installed, 'node_modules', '.bin'),
    '/usr/local/bin',
    '/usr/bin',
    '/bin',
  ];
  return {
    PATH: path.join(delimiter),
    HOME: home,
    XDG_CONFIG_HOME: join(home, '.config'),
    XDG_DATA_HOME: join(home, '.local', 'share'),
    XDG_STATE_HOME: join(home, '.local', 'state'),
    XDG_CACHE_HOME: join(home, '.cache'),
    TMPDIR: join(home, 'tmp'),
    SHELL: '/bin/bash',
    LANG: 'C.UTF-8',
    TZ: 'UTC',
    TERM: 'dumb',
    NO_COLOR: '1',
    CI: '1',
    HTTP_PROXY: nowhere,
    HTTPS_PROXY: nowhere,
    http_proxy: nowhere,
    https_proxy: nowhere,
    NO_PROXY: '127.0.0.1,localhost',
    no_proxy: '127.0.0.1,localhost',
    NODE_USE_ENV_PROXY: '1',
  };
}

interface RunOptions {
  readonly timeoutMs: number;
  readonly cwd?: string;
  readonly env?: Record<string, string>;
}

export function run(program: string, argv: readonly string[], options: RunOptions): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, argv, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, so that what it started ends with it.
      detached: true,
    });
    let output = '';
    const keep = (piece: string): void => {
      output += piece;
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    const endGroup = (): void => {
      try {
        process.kill(-(child.pid as number), 'SIGKILL');
      } catch {
        // Nothing of it is left.
      }
    };
    const tooLong = setTimeout(endGroup, options.timeoutMs);
    child.on('error', (failure) => {
      clearTimeout(tooLong);
      reject(failure);
    });
    child.on('exit', endGroup);
    child.on('close', (code) => {
      clearTimeout(tooLong);
      resolve({ code, output });
    });
  });
}
