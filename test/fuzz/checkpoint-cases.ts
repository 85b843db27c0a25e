/**
 * Broken and hostile model folders, from a good one. A case is a function of its random source.
 *
 * Covered: every file that is read, as structure and as bytes; links, pipes and folders in the place of files. Not
 * covered: folders that change while they are read.
 */
import type { Random } from '../../src/core/random.ts';
import { damage, damageText, hostileValue, write, wrongValues } from './hostile-json.ts';

/** What stands under a name: bytes, a symbolic link, or what is no file at all. */
export type Entry = Uint8Array | { readonly linkTo: string } | 'folder' | 'pipe';
export type Folder = ReadonlyMap<string, Entry>;

export interface FolderCase {
  readonly kind: string;
  readonly folder: Folder;
}

type Maker = (random: Random, good: Folder) => FolderCase;

const bytesOf = (folder: Folder, name: string): Buffer => Buffer.from(folder.get(name) as Uint8Array);
const withFile = (folder: Folder, name: string, entry: Entry): Folder => new Map([...folder, [name, entry]]);
const named = (folder: Folder, ending: string): string[] => [...folder.keys()].filter((name) => name.endsWith(ending));

/** Header and data of a safetensors file. */
function parts(file: Buffer): { header: Record<string, unknown>; data: Buffer } {
  const length = Number(file.readBigUInt64LE());
  return { header: JSON.parse(file.toString('utf8', 8, 8 + length)), data: file.subarray(8 + length) };
}

function joined(header: string, data: Buffer, length = BigInt(Buffer.byteLength(header))): Buffer {
  const lead = Buffer.alloc(8);
  lead.writeBigUInt64LE(BigInt.asUintN(64, length));
  return Buffer.concat([lead, Buffer.from(header), data]);
}

const tensors: Maker = (random, good) => {
  const name = random.pick(named(good, '.safetensors'));
  const { header, data } = parts(bytesOf(good, name));
  if (random.chance(0.5)) damage(random, header);
  else damageTensor(random, header);
  return { kind: 'tensor table', folder: withFile(good, name, joined(write(header), data)) };
};

const offsets = [-1, 0, 1, 2, 3, 4, 8, 2 ** 31, 2 ** 32, 2 ** 40, 2 ** 53 - 1, 2 ** 53, 1e308, 0.5];

function damageTensor(random: Random, header: Record<string, unknown>): void {
  const names = Object.keys(header).filter((name) => name !== '__metadata__');
  const name = random.pick(names);
  const entry = header[name] as { dtype: string; shape: number[]; data_offsets: number[] };
  switch (random.below(7)) {
    case 0:
      entry.data_offsets = [
        random.pick([...offsets, ...entry.data_offsets]),
        random.pick([...offsets, ...entry.data_offsets]),
      ];
      return;
    case 1:
      entry.shape = random.pick([
        [],
        [0],
        [-1],
        [...entry.shape, 1],
        entry.shape.toReversed(),
        [2 ** 32, 2 ** 32],
        [1.5],
      ]);
      return;
    case 2:
      entry.dtype = random.pick(['F64', 'I8', 'U8', 'BOOL', 'F8_E4M3', 'BF16', 'F16', 'f32', '', 'toString']);
      return;
    case 3:
      header[random.pick(names)] = entry;
      return;
    case 4:
      delete header[name];
      return;
    case 5:
      header['model.extra.weight'] = { dtype: 'F32', shape: [0], data_offsets: [0, 0] };
      return;
    default:
      delete header[name];
      header[`${name}.renamed`] = entry;
  }
}

const lengths = [0n, 1n, 2n, 7n, 100_000_000n, 100_000_001n, 10_000_000_000n, 1n << 53n, (1n << 63n) - 1n, -1n, -8n];

const lead: Maker = (random, good) => {
  const name = random.pick(named(good, '.safetensors'));
  const { header, data } = parts(bytesOf(good, name));
  const right = BigInt(Buffer.byteLength(write(header)));
  const length = random.pick([...lengths, right - 1n, right + 1n, right + BigInt(data.length)]);
  return { kind: 'header length', folder: withFile(good, name, joined(write(header), data, length)) };
};

const numbers: Maker = (random, good) => {
  const name = random.pick(named(good, '.safetensors'));
  const file = bytesOf(good, name);
  const from = file.length - parts(file).data.length;
  const at = from + 4 * random.below((file.length - from) / 4);
  file.writeFloatLE(random.pick([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3e38, 1e-45]), at);
  return { kind: 'numbers', folder: withFile(good, name, file) };
};

const anyBytes: Maker = (random, good) => {
  const name = random.pick([...good.keys()]);
  const file = bytesOf(good, name);
  const at = random.below(file.length + 1);
  const noise = Buffer.from(Array.from({ length: random.below(200) }, () => random.below(256)));
  const changed = random.pick([
    () => file.subarray(0, at),
    () => Buffer.concat([file.subarray(0, at), noise, file.subarray(at)]),
    () => Buffer.concat([file, noise]),
    () => noise,
    () => Buffer.alloc(0),
  ])();
  return { kind: 'bytes', folder: withFile(good, name, changed) };
};

const jsonStructure: Maker = (random, good) => {
  const name = random.pick(named(good, '.json'));
  const value = JSON.parse(bytesOf(good, name).toString()) as Record<string, unknown>;
  if (random.chance(0.5)) damage(random, value);
  else value[random.pick(Object.keys(value))] = random.pick([...wrongValues, hostileValue(random, 3)]);
  return { kind: `structure of ${name}`, folder: withFile(good, name, Buffer.from(write(value))) };
};

const jsonText: Maker = (random, good) => {
  const name = random.pick(named(good, '.json'));
  return { kind: 'JSON text', folder: withFile(good, name, damageText(random, bytesOf(good, name).toString())) };
};

const ids = [-1, 0, 0.5, 2 ** 22 - 1, 2 ** 22, 2 ** 31, 2 ** 53, 1e308, null, '7'];

const vocabulary: Maker = (random, good) => {
  const json = JSON.parse(bytesOf(good, 'tokenizer.json').toString()) as {
    added_tokens: { id: unknown; content: unknown }[];
    model: { vocab: Record<string, unknown>; merges: unknown[] };
    pre_tokenizer: unknown;
  };
  const { vocab, merges } = json.model;
  random.pick([
    () => Object.assign(random.pick(json.added_tokens), { id: random.pick(ids) }),
    () =>
      Object.assign(random.pick(json.added_tokens), {
        content: random.pick(['', ' ', '\0', '\ud800', 'a'.repeat(1e5)]),
      }),
    () => Object.assign(vocab, { [random.pick(Object.keys(vocab))]: random.pick(ids) }),
    () => delete vocab[random.pick(Object.keys(vocab))],
    () =>
      merges.splice(
        random.below(merges.length),
        1,
        random.pick<unknown>(['', 'a', ['a'], ['a', 'b', 'c'], 'é ü', null]),
      ),
    () =>
      Object.assign(json, {
        pre_tokenizer: { type: 'Split', pattern: { Regex: random.pick(['(', '[', '\\p{Zz}', '(?<!']) } },
      }),
  ])();
  return { kind: 'vocabulary', folder: withFile(good, 'tokenizer.json', Buffer.from(write(json))) };
};

const snippets = [
  ...['{%', '%}', '{{', '}}', '{#', '{% for i in range(1000000000) %}x{% endfor %}', '{{ raise_exception("no") }}'],
  ...['{% for i in range(2000) %}{% for j in range(2000) %}{% endfor %}{% endfor %}', '{{ messages[0].content * 9 }}'],
  ...[
    '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}',
    '{% set x = messages %}',
    '{% if %}',
    '{{ ""[5] }}',
    '{{ x.y.z }}',
  ],
  ...[
    '{{ messages | tojson }}',
    '{{ messages | nofilter }}',
    '{% include "x" %}',
    `{{ ${'('.repeat(20_000)} }}`,
    '\0',
    '\ud800',
  ],
  ...['{% set ns = namespace(x="ab") %}{% for i in range(40) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}'],
];

const template: Maker = (random, good) => {
  const text = bytesOf(good, 'chat_template.jinja').toString();
  const at = random.below(text.length + 1);
  const rest = random.chance(0.5) ? text.slice(at) : text.slice(at + random.below(30));
  const changed = text.slice(0, at) + random.pick([...snippets, '']) + rest;
  return { kind: 'template', folder: withFile(good, 'chat_template.jinja', Buffer.from(changed)) };
};

const entries: Maker = (random, good) => {
  const name = random.pick([...good.keys()]);
  const links = [name, 'nowhere', '/dev/zero', '/dev/random', '/proc/self/mem', '..', random.pick([...good.keys()])];
  const folder = new Map(good);
  const kind = random.below(4);
  if (kind === 0) folder.delete(name);
  else
    folder.set(
      name,
      kind === 1 ? 'folder' : kind === 2 && random.chance(0.3) ? 'pipe' : { linkTo: random.pick(links) },
    );
  return { kind: 'entries', folder };
};

const shardNames = [
  '../x.safetensors',
  '/etc/passwd',
  'nowhere.safetensors',
  '',
  '.',
  'config.json',
  'a\0.safetensors',
];

/** Of a folder with shards; another one is left as it is. */
const index: Maker = (random, good) => {
  const name = 'model.safetensors.index.json';
  if (!good.has(name)) return tensors(random, good);
  const json = JSON.parse(bytesOf(good, name).toString()) as { weight_map: Record<string, unknown> };
  const shards = named(good, '.safetensors');
  const tensor = random.pick(Object.keys(json.weight_map));
  const folder = new Map(good);
  random.pick([
    () => (json.weight_map[tensor] = random.pick([...shardNames, ...shards])),
    () => delete json.weight_map[tensor],
    () => (json.weight_map['model.extra.weight'] = random.pick(shards)),
    () => folder.delete(random.pick(shards)),
    () => folder.set(random.pick(shards), good.get(random.pick(shards)) as Entry),
    () => folder.set(random.pick(shards), { linkTo: random.pick(shards) }),
  ])();
  return { kind: 'shards', folder: withFile(folder, name, Buffer.from(write(json))) };
};

const makers: readonly Maker[] = [
  ...[tensors, tensors, tensors, lead, numbers, anyBytes, jsonStructure, jsonStructure, jsonText, vocabulary],
  ...[template, template, entries, index, index],
];

export const folderCase = (random: Random, good: Folder): FolderCase => random.pick(makers)(random, good);
