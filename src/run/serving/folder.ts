/**
 * The run directory of `espalier serve` and `espalier proxy`: `store/`, and a `config.json` that says what was recorded.
 *
 * Not a training run: it has no batches and cannot be resumed by `train`. `inspect` and `export` read it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { EspalierError, messageOf } from '../../core/errors.ts';
import { type PolicyVersion, policyVersion } from '../../core/ids.ts';
import { diskFiles } from '../../store/disk-files.ts';
import { numericsVersion } from '../config.ts';
import { freeName } from '../directory.ts';

export type ServingConfig =
  | {
      readonly kind: 'serve';
      readonly model: string;
      /** Of the weights: a directory holds turns of one model. Null where a server of someone else's has them. */
      readonly sha256: string | null;
    }
  | { readonly kind: 'proxy'; readonly upstream: string };

export interface ServingFolder {
  readonly path: string;
  /** What is recorded there already, or null for a new directory. */
  readonly known: ServingConfig | null;
}

/** `where`, or `runs/serve`, `runs/serve-2`, ... Throws EspalierError('config') when it holds something else. */
export function findServingFolder(kind: ServingConfig['kind'], where: string | null): ServingFolder {
  const path = where === null ? freeName(resolve('runs', 'serve')) : resolve(where);
  const known = servingConfig(path);
  if (known?.kind === kind || (known === null && !existsSync(join(path, 'config.json')))) return { path, known };
  const what = known === null ? 'a run' : `what espalier ${known.kind} recorded`;
  throw new EspalierError('config', `${path} holds ${what}: name another --run`);
}

/** Of a directory that these commands made, else null. */
export function servingConfig(path: string): ServingConfig | null {
  const file = join(path, 'config.json');
  if (!existsSync(file)) return null;
  try {
    const value = JSON.parse(readFileSync(file, 'utf8')) as { readonly kind?: unknown };
    return value.kind === 'serve' || value.kind === 'proxy' ? (value as ServingConfig) : null;
  } catch {
    return null;
  }
}

/** Makes the directory what it is for, or checks that it is. Throws EspalierError('config' | 'store'). */
export async function claimFolder({ path, known }: ServingFolder, config: ServingConfig): Promise<void> {
  if (known !== null) {
    const other = differenceOf(known, config);
    if (other === null) return;
    throw new EspalierError('config', `${path} holds turns of ${other}: name another --run`);
  }
  const file = join(path, 'config.json');
  const text = `${JSON.stringify({ formatVersion: 1, numerics: numericsVersion, ...config }, null, 2)}\n`;
  try {
    await diskFiles.makeDirectory(path);
    await writeFile(`${file}.tmp`, text, { flush: true });
    await rename(`${file}.tmp`, file);
    await diskFiles.syncDirectory(path);
  } catch (cause) {
    throw new EspalierError('store', `cannot write ${file} (${messageOf(cause)}): name a --run that can be written`, {
      cause,
    });
  }
}

/** The newest checkpoint that learning left in a directory, or null. */
export function latestCheckpoint(path: string): { readonly path: string; readonly version: PolicyVersion } | null {
  const [newest] = checkpointsOf(path);
  if (newest === undefined) return null;
  return { path: join(path, 'checkpoints', String(newest)), version: policyVersion(newest) };
}

/** Their versions, newest first. */
export function checkpointsOf(path: string): number[] {
  const folder = join(path, 'checkpoints');
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => /^\d+$/.test(name)) : [];
  return names.map(Number).sort((a, b) => b - a);
}

function differenceOf(known: ServingConfig, config: ServingConfig): string | null {
  if (known.kind === 'serve' && config.kind === 'serve') {
    const isSame = known.sha256 === config.sha256 && (config.sha256 !== null || known.model === config.model);
    return isSame ? null : `other weights (${known.model})`;
  }
  if (known.kind === 'proxy' && config.kind === 'proxy') {
    return known.upstream === config.upstream ? null : `another upstream (${known.upstream})`;
  }
  return `espalier ${known.kind}`;
}
