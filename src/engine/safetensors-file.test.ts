import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { safetensorsPieces } from './safetensors.ts';
import { openSafetensors } from './safetensors-file.ts';

const tensors = [
  { name: 'a', dims: [2, 3], data: Float32Array.of(1, 2, 3, -0, 5e-324, 1e38) },
  { name: 'b', dims: [1], data: Float32Array.of(7) },
];
let directory = '';
let path = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'espalier-safetensors-'));
  path = join(directory, 'model.safetensors');
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function readAll(): Promise<Float32Array[] | null> {
  const file = await openSafetensors(path);
  if (file === null) return null;
  await using _ = file;
  const values: Float32Array[] = [];
  for (const entry of file.entries) values.push(await file.read(entry));
  return values;
}

test('a file is read tensor by tensor', async () => {
  await writeFile(path, Buffer.concat(safetensorsPieces(tensors)));
  expect(await readAll()).toEqual(tensors.map(({ data }) => data));
  expect(await openSafetensors(join(directory, 'nowhere'))).toBeNull();
  expect(await openSafetensors(join(path, 'below'))).toBeNull();
  await expect(openSafetensors(directory)).rejects.toThrow('is not a file');
});

test('a header of 10 GB is refused at once, in a file as large', async () => {
  const lead = Buffer.alloc(8);
  lead.writeBigUInt64LE(10_000_000_000n);
  await writeFile(path, lead);
  const handle = await open(path, 'r+');
  await handle.truncate(11_000_000_000);
  await handle.close();
  await expect(readAll()).rejects.toThrow('a header of 10000000000 bytes is over the limit');
  await rm(path);
});

test('a tensor that claims more than the file holds is refused before memory is taken', async () => {
  const header = Buffer.from(JSON.stringify({ a: { dtype: 'F32', shape: [2 ** 40], data_offsets: [0, 2 ** 42] } }));
  const lead = Buffer.alloc(8);
  lead.writeBigUInt64LE(BigInt(header.length));
  await writeFile(path, Buffer.concat([lead, header, Buffer.alloc(64)]));
  await expect(readAll()).rejects.toThrow('a ends at byte');
});

test('a file that was cut or changed anywhere gives an error or tensors of its size, never a crash', async () => {
  const whole = Buffer.concat(safetensorsPieces(tensors));
  const change = fc.record({ at: fc.nat(whole.length - 1), value: fc.nat(255), length: fc.nat(whole.length) });
  await fc.assert(
    fc.asyncProperty(change, fc.boolean(), async ({ at, value, length }, cut) => {
      const bytes = Buffer.from(cut ? whole.subarray(0, length) : whole);
      if (at < bytes.length) bytes[at] = value;
      await writeFile(path, bytes);
      try {
        for (const values of (await readAll()) ?? []) expect(values.byteLength).toBeLessThan(bytes.length);
      } catch (thrown) {
        expect(thrown).toMatchObject({ name: 'CheckpointError' });
      }
    }),
    { seed: 20261125, numRuns: 200 },
  );
});
