/**
 * The run directory: everything that a run is, on disk.
 *
 * `config.json` (resolved), `store/` (segments: the truth), `metrics.jsonl`, `eval.jsonl`, `summary.json`,
 * `checkpoints/N/` (Hugging Face folders), `report.html`.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { open, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { EspalierError } from '../core/errors.ts';
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
      mkdirSync(join(path, 'checkpoints'), { recursive: true });
    } catch (cause) {
      throw new EspalierError('store', `cannot make ${path}: name a --run that can be written`, { cause });
    }
    const directory = new RunDirectory(path, config);
    await directory.writeJson('config.json', { formatVersion: configFormat, numericsVersion, ...config });
    return directory;
  }

  static open(where: string): RunDirectory {
    const path = resolve(where);
    const file = join(path, 'config.json');
    if (!existsSync(file)) throw new EspalierError('config', `${path} is no run directory: it has no config.json`);
    const { formatVersion, numericsVersion: numerics, ...config } = JSON.parse(readFileSync(file, 'utf8'));
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

  /** Appends a row and syncs it. */
  async append(name: string, row: object): Promise<void> {
    const file = await open(this.file(name), 'a');
    try {
      await file.appendFile(`${JSON.stringify(row)}\n`);
      await file.datasync();
    } catch (cause) {
      throw new EspalierError('store', `cannot write ${this.file(name)}: free the disk, then --resume`, { cause });
    } finally {
      await file.close();
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
    } catch (cause) {
      throw new EspalierError('store', `cannot write ${this.file(name)}: free the disk, then --resume`, { cause });
    }
  }
}

function freeName(path: string): string {
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? path : `${path}-${n}`;
    if (!existsSync(candidate) || (statSync(candidate).isDirectory() && readdirSync(candidate).length === 0)) {
      return candidate;
    }
  }
}
