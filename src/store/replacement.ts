/**
 * Several segments replaced by other versions of themselves, all or none, whenever it ends.
 *
 * New versions are written beside the old ones. The list of them, `replace.json`, is the point of no return: without it
 * they are rubbish, with it they are the truth, and whoever opens the store for writing puts them in their places.
 *
 * Invariant: a reader, which changes nothing, sees the old versions before that point and the new ones after it.
 */
import { join } from 'node:path';
import { errorCode, type StoreFiles } from './files.ts';

const listName = 'replace.json';
const suffix = '.new';

/** Name of the other version of a segment. */
export const replacementOf = (name: string): string => `${name}${suffix}`;

/** Names of the segments whose bytes are in their replacements. `names`: the directory's. */
export async function replacedNames(
  files: StoreFiles,
  directory: string,
  names: readonly string[],
): Promise<ReadonlySet<string>> {
  if (!names.includes(listName)) return new Set();
  const there = new Set(names);
  return new Set((await listed(files, directory)).filter((name) => there.has(replacementOf(name))));
}

/** The caller holds the directory's lock. `contents`: by name, each another version of a segment that is there. */
export async function replaceSegments(
  files: StoreFiles,
  directory: string,
  contents: AsyncIterable<readonly [name: string, bytes: Uint8Array]>,
): Promise<void> {
  const names: string[] = [];
  for await (const [name, bytes] of contents) {
    const path = join(directory, replacementOf(name));
    await writeFile(files, path, bytes);
    await files.setModifiedMs(path, (await files.stat(join(directory, name))).modifiedMs);
    names.push(name);
  }
  if (names.length === 0) return;
  const list = join(directory, listName);
  await writeFile(files, `${list}${suffix}`, new TextEncoder().encode(JSON.stringify({ formatVersion: 1, names })));
  // The new versions' names first: after the list nothing else says that they are needed.
  await files.syncDirectory(directory);
  await files.rename(`${list}${suffix}`, list);
  await files.syncDirectory(directory);
  await finishReplacement(files, directory);
}

/** Ends what was begun, or clears it away. The caller holds the directory's lock. */
export async function finishReplacement(files: StoreFiles, directory: string): Promise<void> {
  const names = (await files.list(directory)) ?? [];
  for (const name of await replacedNames(files, directory, names)) {
    await files.rename(join(directory, replacementOf(name)), join(directory, name));
  }
  await files.syncDirectory(directory);
  if (names.includes(listName)) {
    await files.remove(join(directory, listName));
    await files.syncDirectory(directory);
  }
  for (const name of (await files.list(directory)) ?? []) {
    if (name.endsWith(suffix)) await files.remove(join(directory, name));
  }
}

async function listed(files: StoreFiles, directory: string): Promise<readonly string[]> {
  try {
    const text = new TextDecoder().decode(await files.read(join(directory, listName)));
    return (JSON.parse(text) as { readonly names: readonly string[] }).names;
  } catch (cause) {
    // Put in their places since the directory was listed.
    if (errorCode(cause) === 'ENOENT') return [];
    throw cause;
  }
}

async function writeFile(files: StoreFiles, path: string, bytes: Uint8Array): Promise<void> {
  const file = await files.open(path);
  try {
    await file.append(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}
