/**
 * Appends to a store until the disk is full, frees space, appends 100 more, and prints what happened as JSON. Its own
 * process, so that a test can choose its disk and its limits.
 */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../src/core/errors.ts';
import { readFrames } from '../../src/store/reader.ts';
import { StoreWriter } from '../../src/store/writer.ts';

const folder = process.argv[2] as string;
const ballast = join(folder, 'ballast');
await writeFile(ballast, new Uint8Array(128 << 10));
const store = await StoreWriter.open(join(folder, 'store'));

const [acknowledged, refused] = await append(Number.POSITIVE_INFINITY);
const stillRefused = await store.ready().then(() => '', messageOf);
await rm(ballast);
await store.ready().catch(() => {});
const [afterwards] = await append(100);
await store.close();
let found = 0;
for await (const _ of readFrames(store.directory)) found++;
console.log(JSON.stringify({ acknowledged, refused, stillRefused, afterwards, found }));

/** Until `most`, or until one is refused: how many were acknowledged, and why one was not. */
async function append(most: number): Promise<[number, string]> {
  for (let count = 0; count < most; count++) {
    try {
      await store.append('note', new Uint8Array(1000));
    } catch (failure) {
      return [count, messageOf(failure)];
    }
  }
  return [most, ''];
}
