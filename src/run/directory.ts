/**
 * The run directory: everything that a run is, on disk.
 *
 * `config.json` (resolved), `store/` (segments: the truth), `metrics.jsonl`, `eval.jsonl`, `summary.json`,
 * `checkpoints/N/` (Hugging Face folders), `report.html`.
 */
import { existsSync, readdirSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { open, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { EspalierError, messageOf } from '../core/errors.ts';
import { diskFiles } from '../store/disk-files.ts';
import { numericsVersion, type RunConfig, resolveConfig } from './config.ts';

const configFormat = 1;

export class RunDirectory {
  readonly path: string;
  readonly config: RunConfig;

  private constructor(path: string, config: RunConfig) {
    this.path = path;
    this.config = config;
  }

  /** Makes `where`, or where it is null `runs/NAME`, `runs/NAME-2`, ... Throws when `where` holds a run already. */
  static async create(config: RunConfig, where: string | null): Promise<RunDirectory> {
    const path = where === null ? freeName(resolve('runs', config.name)) : resolve(where);
    if (existsSync(join(path, 'config.json'))) {
      throw new EspalierError('config', `${path} holds a run: continue it with --resume, or name another --run`);
    }
    try {
      await diskFiles.makeDirectory(join(path, 'checkpoints'));
    } catch (cause) {
      throw new EspalierError('store', `cannot make ${path} (${messageOf(cause)}): name a --run that can be written`, {
        cause,
      });
    }
    const directory = new RunDirectory(path, config);
    await directory.writeJson('config.json', { formatVersion: configFormat, numericsVersion, ...config });
    return directory;
  }

  static open(where: string): RunDirectory {
    const path = resolve(where);
    const file = join(path, 'config.json');
    if (!existsSync(file)) throw new EspalierError('config', `${path} is no run directory: it has no config.json`);
    const { formatVersion, numericsVersion: numerics, ...config } = parsed(file);
    if (formatVersion === undefined || numerics === undefined) {
      throw new EspalierError('config', `${path} is no run directory: its config.json is not of a run`);
    }
    if (formatVersion !== configFormat || numerics !== numericsVersion) {
      throw new EspalierError(
        'config',
        `${file}: format ${formatVersion}, numerics ${numerics}; this Espalier reads format ${configFormat}, ` +
          `numerics ${numericsVersion}: use the version that made the run`,
      );
    }
    return new RunDirectory(path, resolveConfig(config, file));
  }

  file(name: string): string {
    return join(this.path, name);
  }

  checkpoint(step: number): string {
    return join(this.path, 'checkpoints', String(step));
  }

  /** Steps that have a complete checkpoint, ascending: a checkpoint appears whole or not at all (rename). */
  checkpoints(): number[] {
    return readdirSync(this.file('checkpoints'))
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .sort((a, b) => a - b);
  }

  /** Cuts what follows the last newline: a crash tore it, and a row after it would be lost with it. */
  cutTornLine(name: string): void {
    const path = this.file(name);
    if (!existsSync(path)) return;
    const bytes = readFileSync(path);
    const end = bytes.lastIndexOf('\n') + 1;
    if (end < bytes.length) truncateSync(path, end);
  }

  /** Appends a row and syncs it. */
  async append(name: string, row: object): Promise<void> {
    try {
      await using file = await open(this.file(name), 'a');
      await file.appendFile(`${JSON.stringify(row)}\n`);
      await file.datasync();
    } catch (cause) {
      throw this.#unwritable(name, cause);
    }
  }

  /** Replaces a file whole. */
  async writeJson(name: string, value: unknown): Promise<void> {
    await this.write(name, `${JSON.stringify(value, null, 2)}\n`);
  }

  async write(name: string, text: string): Promise<void> {
    const temporary = this.file(`${name}.tmp`);
    try {
      await writeFile(temporary, text, { flush: true });
      await rename(temporary, this.file(name));
      await diskFiles.syncDirectory(this.path);
    } catch (cause) {
      throw this.#unwritable(name, cause);
    }
  }

  #unwritable(name: string, cause: unknown): EspalierError {
    return new EspalierError(
      'store',
      `cannot write ${this.file(name)} (${messageOf(cause)}): free space or make it writable, then --resume`,
      { cause },
    );
  }
}

function parsed(file: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch (cause) {
    throw new EspalierError('config', `${file} cannot be read (${messageOf(cause)}): restore it from a copy`, {
      cause,
    });
  }
}

/** `path`, or `path-2`, ...: the first that is not there or empty. */
export function freeName(path: string): string {
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? path : `${path}-${n}`;
    if (!existsSync(candidate) || (statSync(candidate).isDirectory() && readdirSync(candidate).length === 0)) {
      return candidate;
    }
  }
}
