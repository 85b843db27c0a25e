/** Reads and writes the tokenizer files of a Hugging Face folder. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EspalierError, messageOf } from '../core/errors.ts';
import type { TrainedBpe } from './bpe-trainer.ts';
import { checkBridge } from './bridge-check.ts';
import { Renderer } from './renderer.ts';
import { Tokenizer, type TokenizerJson } from './tokenizer.ts';

/** Throws EspalierError('checkpoint') naming the file that is missing or cannot be used. */
export async function loadTokenizer(directory: string): Promise<Tokenizer> {
  const json = await readJson(directory, 'tokenizer.json');
  const config = await readJson(directory, 'tokenizer_config.json');
  if (json === null || config === null) {
    const missing = json === null ? 'tokenizer.json' : 'tokenizer_config.json';
    throw new EspalierError('checkpoint', `${join(directory, missing)} is missing: a model folder needs its tokenizer`);
  }
  return new Tokenizer(json as unknown as TokenizerJson, config);
}

/**
 * Tokenizer and chat template (`chat_template.jinja`, else in `tokenizer_config.json`), with the bridge checked.
 * Stop tokens are `eos_token`, which the template writes, and those of `generation_config.json`.
 */
export async function loadRenderer(directory: string): Promise<Renderer> {
  const tokenizer = await loadTokenizer(directory);
  const template = (await readText(join(directory, 'chat_template.jinja'))) ?? tokenizer.config.chat_template;
  if (typeof template !== 'string') {
    throw new EspalierError(
      'checkpoint',
      `${directory} has no chat template: add chat_template.jinja to the model folder`,
    );
  }
  const eos = tokenizer.namedToken('eos_token');
  const eosId = eos === null ? null : tokenizer.idOf(eos);
  if (eosId === null) {
    throw new EspalierError(
      'checkpoint',
      `${join(directory, 'tokenizer_config.json')} names no eos_token of the vocabulary`,
    );
  }
  const renderer = new Renderer(tokenizer, template, [...new Set([eosId, ...(await generationStops(directory))])]);
  checkBridge(renderer);
  return renderer;
}

/** Writes `tokenizer.json`, `tokenizer_config.json` and `chat_template.jinja`. */
export async function writeTokenizer(directory: string, trained: TrainedBpe, template: string): Promise<void> {
  await writeFile(join(directory, 'tokenizer.json'), `${JSON.stringify(trained.tokenizerJson, null, 1)}\n`);
  await writeFile(join(directory, 'tokenizer_config.json'), `${JSON.stringify(trained.tokenizerConfig, null, 2)}\n`);
  await writeFile(join(directory, 'chat_template.jinja'), template);
}

async function generationStops(directory: string): Promise<number[]> {
  const config: { readonly eos_token_id?: unknown } | null = await readJson(directory, 'generation_config.json');
  const ids = config?.eos_token_id;
  return [ids].flat().filter((id): id is number => typeof id === 'number');
}

async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new EspalierError('checkpoint', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

async function readJson(directory: string, name: string): Promise<Readonly<Record<string, unknown>> | null> {
  const path = join(directory, name);
  const text = await readText(path);
  if (text === null) return null;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (cause) {
    throw new EspalierError('checkpoint', `${path} is not JSON: ${messageOf(cause)}`, { cause });
  }
}
