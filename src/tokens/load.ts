/** Reads and writes the tokenizer files of a Hugging Face folder. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EspalierError, messageOf } from '../core/errors.ts';
import type { TrainedBpe } from './bpe-trainer.ts';
import { checkBridge } from './bridge-check.ts';
import { readModelFile, readModelJson } from './model-file.ts';
import { Renderer } from './renderer.ts';
import { Tokenizer, type TokenizerJson } from './tokenizer.ts';

/** Throws EspalierError('checkpoint') naming the file that is missing or cannot be used. */
export async function loadTokenizer(directory: string): Promise<Tokenizer> {
  const file = join(directory, 'tokenizer.json');
  const json = await readModelJson(file);
  const config = await readModelJson(join(directory, 'tokenizer_config.json'));
  if (json === null || config === null) {
    const missing = json === null ? 'tokenizer.json' : 'tokenizer_config.json';
    throw new EspalierError('checkpoint', `${join(directory, missing)} is missing: a model folder needs its tokenizer`);
  }
  return new Tokenizer(json as unknown as TokenizerJson, config, file);
}

/** The embeddings have no row for an id beyond config.json's vocabulary: found now, not in the middle of a run. */
async function checkVocabulary(directory: string, tokenizer: Tokenizer): Promise<void> {
  const config: { readonly vocab_size?: unknown } | null = await readModelJson(join(directory, 'config.json'));
  const size = config?.vocab_size;
  if (typeof size !== 'number' || tokenizer.vocabSize <= size) return;
  throw new EspalierError(
    'checkpoint',
    `${join(directory, 'tokenizer.json')} has the id ${tokenizer.vocabSize - 1}, and config.json a vocab_size of ${size}; ` +
      'take the token out, or give the model a row for it',
  );
}

/**
 * Tokenizer and chat template (`chat_template.jinja`, else in `tokenizer_config.json`), with the bridge checked.
 * Stop tokens are `eos_token`, which the template writes, and those of `generation_config.json`.
 */
export async function loadRenderer(directory: string): Promise<Renderer> {
  const tokenizer = await loadTokenizer(directory);
  await checkVocabulary(directory, tokenizer);
  const file = await readModelFile(join(directory, 'chat_template.jinja'));
  const template = file?.toString('utf8') ?? tokenizer.config.chat_template;
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
  const stops = await generationStops(directory);
  try {
    const renderer = new Renderer(tokenizer, template, [...new Set([eosId, ...stops])]);
    checkBridge(renderer);
    return renderer;
  } catch (cause) {
    // The libraries trust their files: whatever they throw, these are at fault.
    const what =
      cause instanceof EspalierError ? messageOf(cause) : `its tokenizer cannot be used: ${messageOf(cause)}`;
    throw new EspalierError('checkpoint', `${directory}: ${what}`, { cause });
  }
}

/** Writes `tokenizer.json`, `tokenizer_config.json` and `chat_template.jinja`. */
export async function writeTokenizer(directory: string, trained: TrainedBpe, template: string): Promise<void> {
  await writeFile(join(directory, 'tokenizer.json'), `${JSON.stringify(trained.tokenizerJson, null, 1)}\n`);
  await writeFile(join(directory, 'tokenizer_config.json'), `${JSON.stringify(trained.tokenizerConfig, null, 2)}\n`);
  await writeFile(join(directory, 'chat_template.jinja'), template);
}

async function generationStops(directory: string): Promise<number[]> {
  const path = join(directory, 'generation_config.json');
  const config: { readonly eos_token_id?: unknown } | null = await readModelJson(path);
  const ids = [config?.eos_token_id ?? []].flat();
  if (ids.every((id): id is number => Number.isSafeInteger(id) && (id as number) >= 0)) return ids;
  throw new EspalierError('checkpoint', `${path}: eos_token_id must be a token id, or a list of them`);
}
