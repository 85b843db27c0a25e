/** Model folders that were made to hurt, one of each kind; random ones: test/fuzz/checkpoints.ts. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { trainBpe } from '../tokens/bpe-trainer.ts';
import { compactTemplate } from '../tokens/compact-template.ts';
import { loadRenderer } from '../tokens/load.ts';
import { readCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { randomCheckpoint } from './random-checkpoint.ts';

const { tokenizerJson, tokenizerConfig } = trainBpe(['let a = b + 1;\n'.repeat(3)], {
  vocabSize: 370,
  addedTokens: ['<|im_start|>', '<|im_end|>'].map((content) => ({ content, special: true })),
  eosToken: '<|im_end|>',
});
const vocabSize = Math.max(...tokenizerJson.added_tokens.map(({ id }) => id)) + 1;
const checkpoint = randomCheckpoint(
  {
    ...{ vocabSize, hiddenSize: 8, intermediateSize: 12, layerCount: 1, headCount: 2, kvHeadCount: 1, headDim: 4 },
    ...{ ropeTheta: 10_000, normEpsilon: 1e-6, tiedEmbeddings: true, qkNorm: true, contextLength: 64 },
  },
  5n,
  new Map([
    ['tokenizer.json', Buffer.from(JSON.stringify(tokenizerJson))],
    ['tokenizer_config.json', Buffer.from(JSON.stringify(tokenizerConfig))],
    ['chat_template.jinja', Buffer.from(compactTemplate)],
  ]),
);

let model = '';
beforeEach(async () => {
  model = await mkdtemp(join(tmpdir(), 'espalier-hostile-'));
  await writeCheckpoint(model, checkpoint, { maxShardBytes: 4000 });
});
afterEach(() => rm(model, { recursive: true, force: true }));

const load = async (): Promise<void> => {
  await readCheckpoint(model);
  await loadRenderer(model);
};
const change = async (name: string, edit: (json: Record<string, unknown>) => unknown): Promise<void> => {
  const json = JSON.parse(await readFile(join(model, name), 'utf8')) as Record<string, unknown>;
  await writeFile(join(model, name), JSON.stringify({ ...json, ...(edit(json) as object) }));
};
const replace = async (name: string, put: (path: string) => unknown): Promise<void> => {
  await rm(join(model, name), { force: true });
  await put(join(model, name));
};

test('the folder is good before it is touched', load);

test.each(['config.json', 'tokenizer.json', 'model-00001-of-00002.safetensors', 'model.safetensors.index.json'])(
  '%s may be no link to itself, no pipe, no device',
  async (name) => {
    await replace(name, (path) => symlink(name, path));
    await expect(load()).rejects.toThrow(`${name}: its symbolic links lead back to themselves`);
    await replace(name, (path) => execFileSync('mkfifo', [path]));
    await expect(load()).rejects.toThrow(`${name} is not a file`);
    await replace(name, (path) => symlink('/dev/zero', path));
    await expect(load()).rejects.toThrow(`${name} is not a file`);
  },
);

test('a link to a file is a file: that is how download caches keep them', async () => {
  const bytes = await readFile(join(model, 'config.json'));
  await writeFile(join(model, 'blob'), bytes);
  await replace('config.json', (path) => symlink('blob', path));
  await load();
});

test('a shard that was cut says where it ends', async () => {
  await truncate(join(model, 'model-00002-of-00002.safetensors'), 100);
  await expect(load()).rejects.toThrow(/model-00002-of-00002.safetensors: .* beyond the file/);
});

test('a tokenizer file of 300 MB is not read', async () => {
  await truncate(join(model, 'tokenizer.json'), 300_000_000);
  await expect(load()).rejects.toThrow('tokenizer.json has 300000000 bytes, more than');
});

test.each([
  ['num_hidden_layers', 2 ** 31 - 1],
  ['vocab_size', 2 ** 31 - 1],
  ['max_position_embeddings', 1e300],
  ['head_dim', 1e9],
])('%s of %d takes no memory', async (field, value) => {
  await change('config.json', () => ({ [field]: value }));
  await expect(load()).rejects.toThrow(new RegExp(`config.json: ${field} is .*; it must be a whole number from 1 to`));
});

test('a configuration that is nested 100,000 levels deep is an error of one line', async () => {
  const deep = `{"rope_scaling":${'['.repeat(100_000)}${']'.repeat(100_000)},"model_type":`;
  const text = await readFile(join(model, 'config.json'), 'utf8');
  await writeFile(join(model, 'config.json'), text.replace(/\{\s*"architectures"[^\]]*\],\s*"model_type":/, deep));
  await expect(load()).rejects.toThrow(/^config.json: rope_scaling is an array that is nested too deep; it must be/);
});

test.each([2 ** 31, -1, 0.5, null, '7'])('a token whose id is %s sizes no table', async (id) => {
  await change('tokenizer.json', (json) => {
    const added = structuredClone(json['added_tokens']) as { id: unknown }[];
    Object.assign(added[0] as object, { id });
    return { added_tokens: added };
  });
  await expect(load()).rejects.toThrow('the id of added_tokens[0] is not a whole number from 0 to 4194303');
});

test('a token beyond the embeddings is found before a prompt holds it', async () => {
  await change('tokenizer.json', (json) => {
    const added = json['added_tokens'] as { readonly id: number }[];
    return { added_tokens: [...added, { ...added[0], id: vocabSize + 9, content: '<|more|>' }] };
  });
  await expect(load()).rejects.toThrow(`has the id ${vocabSize + 9}, and config.json a vocab_size of ${vocabSize}`);
});

test.each([{}, { model: null }, { model: { vocab: 7 } }, { added_tokens: 7, model: { vocab: {} } }])(
  'a tokenizer that is %j is named',
  async (json) => {
    await writeFile(join(model, 'tokenizer.json'), JSON.stringify(json));
    await expect(load()).rejects.toThrow(/tokenizer.json cannot be used: .*; fetch the tokenizer files anew/);
  },
);

test.each([
  ['{% for i in range(1000000000) %}x{% endfor %}', 'its loops over range() are longer than 100000 steps'],
  ['{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}', 'its loops over range() are longer'],
  ['{% set ns = namespace(x="ab") %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}', 'failed'],
  ['{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}', 'the chat template failed'],
  [`{{ ${'('.repeat(100_000)} }}`, 'the chat template does not parse'],
])('a chat template does not run for ever: %#', async (template, message) => {
  await writeFile(join(model, 'chat_template.jinja'), template);
  await expect(load()).rejects.toThrow(message);
});

test('a chat template may count', async () => {
  const counting = '{% for i in range(3, 0, -1) %}{% for j in range(i) %}{% endfor %}{% endfor %}';
  await writeFile(join(model, 'chat_template.jinja'), counting + compactTemplate);
  await load();
});
