/**
 * `exports.jsonl`: what was exported from a run, and where to, so that an erasure can name the copies that it does not reach.
 *
 * Not a promise: a run directory that cannot be written is exported all the same, and the export says so.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';

const name = 'exports.jsonl';
const row = z.object({
  formatVersion: z.literal(1),
  /** ISO 8601. */
  at: z.string(),
  format: z.string(),
  /** Absolute. */
  out: z.string(),
  /** The rollout, or the path above several; null is all. */
  rollout: z.string().nullable(),
});
export type ExportNote = z.infer<typeof row>;

/** Gives whether it could be written. */
export function noteExport(run: string, note: Omit<ExportNote, 'formatVersion'>): boolean {
  try {
    const value: ExportNote = { formatVersion: 1, ...note, out: resolve(note.out) };
    appendFileSync(join(run, name), `${JSON.stringify(value)}\n`);
    return true;
  } catch {
    return false;
  }
}

/** Exports that may hold one of the rollouts. */
export function exportsOf(run: string, rollouts: readonly string[]): ExportNote[] {
  const path = join(run, name);
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => row.parse(JSON.parse(line)))
    .filter(({ rollout: under }) =>
      rollouts.some((one) => under === null || one === under || one.startsWith(`${under}/`)),
    );
}
