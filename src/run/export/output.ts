/** Files of JSON that an export or import writes. */
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EspalierError, messageOf } from '../../core/errors.ts';

/** Takes values one by one, each with the id that it has in the record, and gives them to their file or files. */
export interface Output<T> {
  add(id: string, value: T): Promise<void>;
}

const flushCharacters = 1 << 20;

/** One JSON value a line. */
export function writeLines<T>(path: string, fill: (output: Output<T>) => Promise<void>): Promise<void> {
  return writeWhole(path, async (temporary) => {
    await using file = await open(temporary, 'w');
    let [lines, length]: [string[], number] = [[], 0];
    const flush = async (): Promise<void> => {
      await file.appendFile(lines.join(''));
      [lines, length] = [[], 0];
    };
    await fill({
      add: async (_, value) => {
        const line = `${JSON.stringify(value)}\n`;
        lines.push(line);
        length += line.length;
        if (length >= flushCharacters) await flush();
      },
    });
    await flush();
    await file.datasync();
  });
}

/** The file appears under its name when `write` has ended well; an older one is replaced then, and not before. */
export async function writeWhole(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await write(temporary);
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw cause instanceof EspalierError ? cause : unwritable(path, cause);
  }
}

/** A file `ID.json` for each value, in a folder that must be new or empty: a mixture of two exports is neither. */
export async function writeFolder<T>(path: string, fill: (output: Output<T>) => Promise<void>): Promise<void> {
  if (existsSync(path) && readdirSync(path).length > 0) {
    throw new EspalierError('config', `--out ${path} holds something already: name a new folder, or a .jsonl file`);
  }
  try {
    await fill({
      add: async (id, value) => {
        const file = join(path, `${fileName(id)}.json`);
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, `${JSON.stringify(value)}\n`);
      },
    });
  } catch (cause) {
    throw cause instanceof EspalierError ? cause : unwritable(path, cause);
  }
}

/** Ids are paths; what could lead out of the folder, or is no file name somewhere, is escaped. Different stay different. */
function fileName(id: string): string {
  return id
    .split('/')
    .map((part) => (/^\.*$/.test(part) ? `%${part}` : encodeURIComponent(part)))
    .join('/');
}

function unwritable(path: string, cause: unknown): EspalierError {
  return new EspalierError('store', `cannot write ${path} (${messageOf(cause)}): free space or name another --out`, {
    cause,
  });
}
