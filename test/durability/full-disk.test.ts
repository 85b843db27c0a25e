/**
 * A disk that is full after any number of bytes, or read-only for a while: what is acknowledged is there, what is refused
 * is not, and the store goes on when the disk does.
 *
 * Every byte at which a load of appends, or a removal, can be cut is tried, and power fails at each, too.
 */
import { describe, expect, it } from 'vitest';
import { Random, seedOf } from '../../src/core/random.ts';
import type { StoreFiles } from '../../src/store/files.ts';
import { readFrames } from '../../src/store/reader.ts';
import { StoreWriter } from '../../src/store/writer.ts';
import { LossyDisk } from './lossy-disk.ts';

const directory = '/run/store';
const segmentBytes = 150;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function textsOf(files: StoreFiles): Promise<string[]> {
  const texts: string[] = [];
  for await (const { kind, payload } of readFrames(directory, files)) {
    if (kind === 'note') texts.push(new TextDecoder().decode(payload));
  }
  return texts;
}

/** Appends batches of 1, 2 and 3 frames, and gives what was acknowledged. */
async function load(store: StoreWriter, from: number): Promise<string[]> {
  const acknowledged: string[] = [];
  for (let batch = 0; batch < 6; batch++) {
    const texts = Array.from({ length: 1 + (batch % 3) }, (_, i) => `${from + batch}/${i} ${'.'.repeat(7 * i)}`);
    const results = await Promise.allSettled(texts.map((text) => store.append('note', bytes(text))));
    acknowledged.push(...texts.filter((_, i) => results[i]?.status === 'fulfilled'));
  }
  return acknowledged;
}

async function usedBytes(): Promise<number> {
  const disk = new LossyDisk();
  const store = await StoreWriter.open(directory, { files: disk.process().files, segmentBytes });
  await load(store, 0);
  await store.close();
  return disk.usedBytes();
}

describe('a disk that is full', () => {
  it('after any number of bytes acknowledges only what it has, and takes the next frames when there is room', async () => {
    const total = await usedBytes();
    expect(total).toBeGreaterThan(2 * segmentBytes);
    for (let capacity = 0; capacity <= total; capacity++) {
      const disk = new LossyDisk();
      disk.capacityBytes = capacity;
      const { files } = disk.process();
      const store = await StoreWriter.open(directory, { files, segmentBytes });
      const first = await load(store, 0);
      expect(store.failure === null, `capacity ${capacity}`).toBe(capacity === total);
      expect(await textsOf(files).then((texts) => texts.slice(0, first.length))).toEqual(first);
      if (store.failure !== null) {
        expect(store.failure.message).toMatch(/the disk is full; free space/);
        await expect(store.ready()).rejects.toThrow(/the disk is full/);
        await expect(store.append('note')).rejects.toThrow(/the disk is full/);
      }
      disk.capacityBytes = Number.POSITIVE_INFINITY;
      await store.ready();
      expect(await textsOf(files)).toEqual(first);
      const second = await load(store, 100);
      expect(second).toHaveLength(12);
      // Nothing of the failure is left for the next process, either.
      disk.powerFails(new Random(seedOf('full', capacity)));
      const reopened = await StoreWriter.open(directory, { files: disk.process().files, segmentBytes });
      expect(reopened.report).toEqual({ nextSequence: first.length + second.length, cut: null });
      expect(await textsOf(disk.process().files)).toEqual([...first, ...second]);
    }
  });

  it('after any number of bytes of a removal has all frames or those that are left', async () => {
    for (let room = 0; ; room++) {
      const disk = new LossyDisk();
      const { files } = disk.process();
      const store = await StoreWriter.open(directory, { files, segmentBytes });
      const all = await load(store, 0);
      disk.capacityBytes = disk.usedBytes() + room;
      const failure = await store
        .remove(({ sequence }) => sequence % 2 === 1, 'erased')
        .then(
          () => null,
          (thrown: Error) => thrown,
        );
      const left = all.filter((_, sequence) => sequence % 2 === 0);
      expect(await textsOf(files)).toEqual(failure === null ? left : all);
      expect(await files.list(directory)).not.toContain('replace.json');
      if (failure === null) {
        expect(room).toBeGreaterThan(300);
        return;
      }
      expect(failure.message).toMatch(/the disk is full/);
      disk.capacityBytes = Number.POSITIVE_INFINITY;
      expect(await store.append('note', bytes('more'))).toBe(all.length);
    }
  });
});

describe('a disk that is read-only for a while', () => {
  it('takes nothing, says so, and goes on where it was', async () => {
    const disk = new LossyDisk();
    const { files } = disk.process();
    const store = await StoreWriter.open(directory, { files, segmentBytes });
    const first = await load(store, 0);
    disk.readOnly = true;
    expect(await load(store, 50)).toEqual([]);
    await expect(store.ready()).rejects.toThrow(/the place is not writable/);
    expect(await textsOf(files)).toEqual(first);
    disk.readOnly = false;
    await store.ready();
    expect(await textsOf(files).then(async (texts) => [...texts, ...(await load(store, 100))])).toEqual(
      await textsOf(files),
    );
  });
});

describe('a disk that fails otherwise', () => {
  it('is not tried again by the same process, since nobody knows what it has', async () => {
    const disk = new LossyDisk();
    const { files } = disk.process();
    const broken = Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
    const failing: StoreFiles = {
      ...files,
      open: async (path) => ({ ...(await files.open(path)), sync: () => Promise.reject(broken) }),
    };
    const store = await StoreWriter.open(directory, { files: failing });
    await expect(store.append('note', bytes('a'))).rejects.toThrow(/resume the run when the disk works/);
    await expect(store.ready()).rejects.toThrow(/EIO/);
  });
});
