import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EspalierError } from '../core/errors.ts';
import { crc32c } from './crc32c.ts';
import { diskFiles } from './disk-files.ts';
import type { AppendFile } from './files.ts';
import { headerBytes } from './frame.ts';
import { decodePayload, encodePayload } from './payload.ts';
import { readFrames } from './reader.ts';
import { StoreWriter } from './writer.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'espalier-store-'));
});
afterEach(() => rm(directory, { recursive: true }));

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function contents(from = directory): Promise<string[]> {
  const seen: string[] = [];
  for await (const frame of readFrames(from))
    seen.push(`${frame.sequence} ${frame.kind} ${Buffer.from(frame.payload)}`);
  return seen;
}

async function segments(): Promise<string[]> {
  return (await readdir(directory)).filter((name) => name.endsWith('.segment')).sort();
}

describe('crc32c', () => {
  it('has the check value of the standard and continues over pieces', () => {
    expect(crc32c(bytes('123456789'))).toBe(0xe3069283);
    expect(crc32c(bytes('6789'), crc32c(bytes('12345')))).toBe(0xe3069283);
  });
});

describe('a store', () => {
  it('gives back what was appended, in order, before and after it is closed', async () => {
    const store = await StoreWriter.open(directory);
    const sequences = await Promise.all([
      store.append('session', bytes('a')),
      store.append('turn', bytes('b'), bytes('c')),
      store.append('note'),
    ]);
    expect(sequences).toEqual([0, 1, 2]);
    expect(await contents()).toEqual(['0 session a', '1 turn bc', '2 note ']);
    await store.close();
    expect(await contents()).toEqual(['0 session a', '1 turn bc', '2 note ']);
    await expect(store.append('note')).rejects.toThrow(/is closed/);
  });

  it('shares one sync among the appends that wait', async () => {
    let syncs = 0;
    const file: AppendFile = { append: async () => {}, sync: async () => void syncs++, close: async () => {} };
    const store = await StoreWriter.open(directory, { files: { ...diskFiles, open: async () => file } });
    await Promise.all(Array.from({ length: 500 }, () => store.append('turn', bytes('x'))));
    expect(syncs).toBeLessThanOrEqual(2);
    await store.close();
  });

  it('rolls segments by size and continues the chain when it is opened again', async () => {
    for (const round of [0, 1, 2]) {
      const store = await StoreWriter.open(directory, { segmentBytes: 100 });
      expect(store.report).toEqual({ nextSequence: round * 5, cut: null });
      for (let i = 0; i < 5; i++) await store.append('turn', bytes(`turn ${round * 5 + i} ${'.'.repeat(20)}`));
      await store.close();
    }
    expect((await segments()).length).toBeGreaterThan(4);
    expect(await contents()).toEqual(Array.from({ length: 15 }, (_, i) => `${i} turn turn ${i} ${'.'.repeat(20)}`));
  });

  it('is open for one writer at a time', async () => {
    const store = await StoreWriter.open(directory);
    await expect(StoreWriter.open(directory)).rejects.toThrow(/open in another process/);
    await store.close();
    await (await StoreWriter.open(directory)).close();
  });

  it('is locked against other processes, and free again when they are killed', async () => {
    const child = appender(directory);
    await once(child.stdout, 'data');
    await expect(StoreWriter.open(directory)).rejects.toThrow(/open in another process/);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await (await StoreWriter.open(directory)).close();
  });
});

describe('a store of format 1', () => {
  const fixture = new URL('../../test/fixtures/store-format-1/', import.meta.url).pathname;
  const payloads = async (from: string) => {
    const seen: unknown[] = [];
    for await (const { sequence, kind, payload } of readFrames(from)) {
      const { fields, arrays } = decodePayload(payload);
      seen.push([sequence, kind, fields, arrays]);
    }
    return seen;
  };
  const recorded = [
    [0, 'session', { rollout: 'batch/0/group/0/rollout/0', trainable: true }, {}],
    [1, 'turn', { index: 0 }, { tail: Int32Array.of(1, 2, 3), behaviorLogprobs: Float32Array.of(-0.5, -1.25) }],
    [2, 'note', { note: { about: 'a fixture' } }, {}],
  ];

  it('is read, and appended to', async () => {
    expect(await payloads(fixture)).toEqual(recorded);
    await cp(fixture, directory, { recursive: true });
    const store = await StoreWriter.open(directory);
    expect(store.report).toEqual({ nextSequence: 3, cut: null });
    await store.append('note', encodePayload({ fields: { more: true }, arrays: {} }));
    await store.close();
    expect(await payloads(directory)).toEqual([...recorded, [3, 'note', { more: true }, {}]]);
  });
});

describe('a torn tail', () => {
  it('may be any part of the last write, and damage before that write is still damage', async () => {
    const store = await StoreWriter.open(directory);
    await store.append('note', bytes('alone'));
    await Promise.all(['first', 'second', 'third'].map((text) => store.append('note', bytes(text))));
    await store.close();
    const path = join(directory, (await segments())[0] as string);
    const whole = await readFile(path);
    const broken = async (at: number) => {
      const copy = Buffer.from(whole);
      copy[at] = (copy[at] as number) ^ 1;
      await writeFile(path, copy);
      return contents();
    };
    const second = 2 * (headerBytes + 5);
    // The frames behind it were never synced without it.
    expect(await broken(second + headerBytes)).toEqual(['0 note alone', '1 note first']);
    expect(await broken(headerBytes + 5 + headerBytes)).toEqual(['0 note alone']);
    await expect(broken(headerBytes)).rejects.toThrow(`${path} is damaged at byte 0`);
  });

  it('is cut at whatever byte it was torn, and the chain goes on', async () => {
    const store = await StoreWriter.open(directory);
    for (const text of ['first', 'second', 'third']) await store.append('note', bytes(text));
    await store.close();
    const [name] = await segments();
    const path = join(directory, name as string);
    const whole = await readFile(path);
    const ends = [0, headerBytes + 5, 2 * headerBytes + 11, 3 * headerBytes + 16];
    expect(ends.at(-1)).toBe(whole.length);
    for (let length = 0; length < whole.length; length++) {
      await writeFile(path, whole.subarray(0, length));
      const kept = ends.filter((end) => end <= length).length - 1;
      expect(await contents()).toHaveLength(kept);
      const reopened = await StoreWriter.open(directory);
      const torn = length - (ends[kept] as number);
      expect(reopened.report.nextSequence).toBe(kept);
      expect(reopened.report.cut?.bytes ?? 0).toBe(torn);
      expect(await reopened.append('note', bytes('next'))).toBe(kept);
      await reopened.close();
      expect((await contents()).at(-1)).toBe(`${kept} note next`);
    }
  });

  it('is cut when its bytes are there but wrong', async () => {
    const store = await StoreWriter.open(directory);
    await store.append('note', bytes('kept'));
    await store.append('note', bytes('torn'));
    await store.close();
    const path = join(directory, (await segments())[0] as string);
    const whole = await readFile(path);
    whole[whole.length - 1] = 0;
    await writeFile(path, whole);
    expect(await contents()).toEqual(['0 note kept']);
    const reopened = await StoreWriter.open(directory);
    expect(reopened.report.cut?.reason).toBe('the checksum differs');
    await reopened.close();
  });
});

describe('damage before the tail', () => {
  it('is an error that names file and offset, whatever byte it hits', async () => {
    const store = await StoreWriter.open(directory, { segmentBytes: 60 });
    for (let i = 0; i < 4; i++) await store.append('note', bytes(`note ${i}`));
    await store.close();
    const names = await segments();
    expect(names.length).toBe(2);
    for (const [name, damagedBytes] of [
      [names[0], 2 * (headerBytes + 6)],
      [names[1], headerBytes + 6],
    ] as const) {
      const path = join(directory, name as string);
      const whole = await readFile(path);
      for (let at = 0; at < damagedBytes; at++) {
        const copy = Buffer.from(whole);
        copy[at] = (copy[at] as number) ^ 0x40;
        await writeFile(path, copy);
        const offset = at < headerBytes + 6 ? 0 : headerBytes + 6;
        await expect(contents()).rejects.toThrow(`${path} is damaged at byte ${offset}`);
      }
      await writeFile(path, whole);
    }
    await rm(join(directory, names[0] as string));
    await expect(contents()).rejects.toThrow(/begins with frame 2, and 0 is missing/);
  });
});

describe('a disk that fails', () => {
  it('acknowledges nothing that is not durable, says the way out, and takes no more', async () => {
    let broken = false;
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    const file: AppendFile = {
      append: async () => {},
      sync: async () => {
        if (broken) throw full;
      },
      close: async () => {},
    };
    const store = await StoreWriter.open(directory, { files: { ...diskFiles, open: async () => file } });
    await store.append('turn', bytes('durable'));
    broken = true;
    const results = await Promise.allSettled([store.append('turn', bytes('a')), store.append('turn', bytes('b'))]);
    broken = false;
    for (const result of results) {
      expect(result.status).toBe('rejected');
      const reason: unknown = (result as PromiseRejectedResult).reason;
      expect(reason).toBeInstanceOf(EspalierError);
      expect((reason as EspalierError).boundary).toBe('store');
      expect((reason as EspalierError).message).toMatch(/the disk is full; free space/);
    }
    await expect(store.append('turn', bytes('c'))).rejects.toThrow(/the disk is full/);
    await store.close();
  });
});

/** A process that appends for ever and prints each sequence once it is acknowledged. */
function appender(into: string) {
  const writer = new URL('./writer.ts', import.meta.url).href;
  const script = `import { StoreWriter } from ${JSON.stringify(writer)};
    const store = await StoreWriter.open(${JSON.stringify(into)}, { segmentBytes: 4096 });
    for (;;) {
      const batch = Array.from({ length: 5 }, (_, i) => store.append('turn', new Uint8Array(37 * i)));
      for (const sequence of await Promise.all(batch)) process.stdout.write(sequence + '\\n');
    }`;
  return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
}

describe('a writer that is killed', () => {
  it('has lost no acknowledged frame', async () => {
    for (const patience of [1, 20, 60]) {
      const child = appender(directory);
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
      await once(child.stdout, 'data');
      await new Promise((resolve) => setTimeout(resolve, patience));
      child.kill('SIGKILL');
      await once(child, 'close');
      const acknowledged = output.split('\n').slice(0, -1).map(Number);
      const store = await StoreWriter.open(directory);
      expect(store.report.nextSequence).toBeGreaterThan(Math.max(...acknowledged));
      await store.close();
      expect((await contents()).length).toBe(store.report.nextSequence);
    }
  });
});

describe('a payload', () => {
  it('comes back with equal fields and bit-equal arrays', () => {
    fc.assert(
      fc.property(
        fc.int32Array(),
        fc.float32Array(),
        fc.uint8Array(),
        fc.dictionary(
          fc.string().filter((key) => key !== 'arrays' && key !== '__proto__'),
          fc.string(),
        ),
        fc.integer({ min: 0, max: 3 }),
        (ids, logprobs, mask, fields, shift) => {
          const encoded = encodePayload({ fields, arrays: { ids, logprobs, mask } });
          const shifted = Buffer.alloc(encoded.length + shift);
          shifted.set(encoded, shift);
          const decoded = decodePayload(shifted.subarray(shift));
          shifted.fill(0);
          expect(decoded.fields).toEqual({ ...fields });
          expect(decoded.arrays).toEqual({ ids, logprobs, mask });
        },
      ),
    );
  });
});
