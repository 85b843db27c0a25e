/**
 * Builds the native engine with one plain C++20 compiler: no node-gyp, no download. The package's install script, and
 * before tests with `--test`. `--sanitize` builds the same addons into native/build/sanitize with checks of every memory
 * access and of undefined behaviour, for scripts/sanitize.ts.
 *
 * Invariants:
 * 1. Incremental by content: an object is rebuilt when its source, a header it includes, the compiler or the flags
 *    changed; a call with nothing to do takes milliseconds.
 * 2. Every result is written to a name of its own and renamed: builds that run at once and processes that have the
 *    addon loaded are safe.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';

const root = resolve(import.meta.dirname, '..');
const native = join(root, 'native');
const build = join(native, 'build');
const compiler = process.env['CXX'] || 'c++';
const jobs = Math.min(2, availableParallelism());
const run = promisify(execFile);

/** What links into what: folders of native/, or single files of them. */
const engine = ['kernels', 'model', 'train', 'binding'];
const targets = {
  espalier: { parts: engine, without: [] },
  // What `espalier bench` times: kernels one by one, and the processor's peak.
  'kernel-bench': { parts: ['kernels', 'bench'], without: [] },
  // The engine's table again, with the kernels one by one and the choice of instruction set.
  'kernel-test': { parts: [...engine, 'test', 'reference/scalar.cc'], without: ['binding/addon.cc'] },
  // The trainer's fp64 twin.
  'espalier-test': { parts: ['reference'], without: ['reference/scalar.cc'] },
} as const satisfies Record<string, { parts: readonly string[]; without: readonly string[] }>;
type Target = keyof typeof targets;
const installed: readonly Target[] = ['espalier', 'kernel-bench'];
export const allTargets: readonly Target[] = [...installed, 'kernel-test', 'espalier-test'];

/** How: for users, or with address and undefined-behaviour sanitizers, where the first fault ends the process. */
export type Variant = 'release' | 'sanitize';
const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
/** The addons of a variant. */
export const addonFolder = (variant: Variant): string => (variant === 'release' ? build : join(build, variant));

function flags(variant: Variant): string[] {
  const require = createRequire(import.meta.url);
  const headers = join(dirname(require.resolve('node-api-headers/package.json')), 'include');
  const wrapper = dirname(require.resolve('node-addon-api/package.json'));
  return [
    ...(variant === 'release' ? ['-O3'] : ['-O1', '-g1', '-fno-omit-frame-pointer', ...sanitizers]),
    ...['-std=gnu++20', '-ffp-contract=off', '-fno-math-errno', '-fPIC', '-pthread', '-fvisibility=hidden'],
    ...['-Wall', '-Wno-psabi', '-DNAPI_VERSION=9', '-DNAPI_CPP_EXCEPTIONS', `-I${headers}`, `-I${wrapper}`],
    // A worker thread that is being terminated can throw nothing any more.
    '-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
  ];
}

function linkFlags(variant: Variant): string[] {
  // Exceptions must be those of the process, which the sanitizers watch.
  if (variant === 'sanitize') return ['-shared', '-pthread', ...sanitizers];
  return process.platform === 'darwin'
    ? ['-shared', '-undefined', 'dynamic_lookup', '-pthread']
    : ['-shared', '-pthread', '-static-libstdc++', '-static-libgcc'];
}

async function compilerVersion(): Promise<string> {
  const wayOut = 'install g++ 11 or newer (Debian, Ubuntu: apt install g++) or set CXX to a C++20 compiler';
  const probe = join(build, `probe-${process.pid}.cc`);
  try {
    const { stdout } = await run(compiler, ['--version']);
    const version = stdout.split('\n', 1)[0] ?? '';
    if (existsSync(stampOf(version))) return version;
    writeFileSync(probe, '#if __cplusplus < 202002L\n#error\n#endif\n#include <bit>\nint main() {}\n');
    await run(compiler, ['-std=gnu++20', '-fsyntax-only', probe]);
    writeFileSync(stampOf(version), version);
    return version;
  } catch {
    throw new Error(`no C++20 compiler: \`${compiler}\` does not run or is too old; ${wayOut}`);
  } finally {
    rmSync(probe, { force: true });
  }
}

function stampOf(version: string): string {
  return join(build, `compiler-${createHash('sha256').update(version).digest('hex').slice(0, 12)}`);
}

/** The source and every file of ours that it includes, directly or not. */
function inputsOf(source: string, seen = new Set<string>()): Set<string> {
  if (seen.has(source)) return seen;
  seen.add(source);
  for (const [, name] of readFileSync(source, 'utf8').matchAll(/^\s*#include "([^"]+)"/gm)) {
    const included = resolve(dirname(source), name ?? '');
    if (existsSync(included)) inputsOf(included, seen);
  }
  return seen;
}

function hashOf(files: Iterable<string>, ...more: readonly string[]): string {
  const hash = createHash('sha256');
  for (const text of more) hash.update(text).update('\0');
  for (const file of files) hash.update(relative(root, file)).update('\0').update(readFileSync(file)).update('\0');
  return hash.digest('hex').slice(0, 32);
}

function sourcesOf(target: Target): string[] {
  const { parts, without } = targets[target];
  return parts
    .filter((part) => existsSync(join(native, part)))
    .flatMap((part) =>
      part.endsWith('.cc') ? [part] : readdirSync(join(native, part)).map((name) => `${part}/${name}`),
    )
    .filter((name) => name.endsWith('.cc') && !(without as readonly string[]).includes(name))
    .sort();
}

/** Compiles one source unless its object for exactly these inputs is there; returns the object. */
async function compile(source: string, version: string, variant: Variant): Promise<string> {
  const path = join(native, source);
  const object = join(
    build,
    'objects',
    `${source.replaceAll('/', '-')}-${hashOf(inputsOf(path), version, ...flags(variant))}.o`,
  );
  if (existsSync(object)) return object;
  const temporary = `${object}.${process.pid}`;
  try {
    const { stderr } = await run(compiler, [...flags(variant), '-c', path, '-o', temporary], { maxBuffer: 1 << 26 });
    if (stderr !== '') process.stderr.write(stderr);
  } catch (cause) {
    rmSync(temporary, { force: true });
    const output = cause instanceof Error && 'stderr' in cause ? String(cause.stderr) : String(cause);
    throw new Error(`native/${source} does not compile with ${version}:\n${output}`, { cause });
  }
  renameSync(temporary, object);
  return object;
}

/** Drops objects that no build of the last hours used; one that runs now may still link younger ones. */
function prune(used: ReadonlySet<string>): void {
  const oldest = Date.now() - 6 * 3600_000;
  for (const name of readdirSync(join(build, 'objects'))) {
    const object = join(build, 'objects', name);
    if (used.has(object)) continue;
    if ((statSync(object, { throwIfNoEntry: false })?.mtimeMs ?? oldest) < oldest) rmSync(object, { force: true });
  }
}

async function link(target: Target, objects: readonly string[], variant: Variant): Promise<boolean> {
  const addon = join(addonFolder(variant), `${target}.node`);
  const stamp = join(addonFolder(variant), `${target}.inputs`);
  const inputs = [...objects.map((object) => relative(build, object)), ...linkFlags(variant)].join('\n');
  if (existsSync(addon) && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs) return false;
  const temporary = `${addon}.${process.pid}`;
  await run(compiler, [...linkFlags(variant), ...objects, '-o', temporary]);
  rmSync(stamp, { force: true });
  renameSync(temporary, addon);
  writeFileSync(stamp, inputs);
  return true;
}

/** Brings the addons up to date; returns the names of those that changed. Throws one line that says the way out. */
export async function buildNative(names: readonly Target[], variant: Variant = 'release'): Promise<Target[]> {
  mkdirSync(join(build, 'objects'), { recursive: true });
  mkdirSync(addonFolder(variant), { recursive: true });
  const version = await compilerVersion();
  const sources = names.map(sourcesOf);
  const objects = new Map<string, string>();
  const waiting = [...new Set(sources.flat())];
  const work = async (): Promise<void> => {
    for (let source = waiting.shift(); source !== undefined; source = waiting.shift()) {
      objects.set(source, await compile(source, version, variant));
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  const changed: Target[] = [];
  for (const [at, name] of names.entries()) {
    const parts = (sources[at] ?? []).map((source) => objects.get(source) ?? '');
    if (await link(name, parts, variant)) changed.push(name);
  }
  prune(new Set(objects.values()));
  return changed;
}

/** Vitest's global setup: the tests' addons too. */
export async function setup(): Promise<void> {
  await buildNative(allTargets);
}

// `import.meta.main` is missing before Node 24.2.
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === realpathSync(import.meta.filename)) {
  const variant = process.argv.includes('--sanitize') ? 'sanitize' : 'release';
  const all = variant === 'sanitize' || process.argv.includes('--test');
  try {
    const changed = await buildNative(all ? allTargets : installed, variant);
    for (const name of changed) console.log(`built ${relative(root, addonFolder(variant))}/${name}.node`);
  } catch (thrown) {
    console.error(`build-native: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    process.exitCode = 1;
  }
}
