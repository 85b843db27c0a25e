/** Loads a configuration file. Only `train` executes one; a run's own config.json is data. */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { EspalierError, messageOf } from '../core/errors.ts';
import { applySettings, type RunConfig, type RunConfigInput, resolveConfig } from './config.ts';

export async function loadConfig(file: string, settings: readonly string[]): Promise<RunConfig> {
  const path = resolve(file);
  if (!existsSync(path)) {
    throw new EspalierError('config', `${path} does not exist: write one with defineRun, or name another file`);
  }
  let loaded: { readonly default?: unknown };
  try {
    loaded = (await import(pathToFileURL(path).href)) as { readonly default?: unknown };
  } catch (cause) {
    throw new EspalierError('config', `${path} does not load: ${messageOf(cause)}`, { cause });
  }
  if (typeof loaded.default !== 'object' || loaded.default === null) {
    throw new EspalierError('config', `${path} has no default export: export default defineRun({ ... })`);
  }
  const config = resolveConfig(applySettings(loaded.default as RunConfigInput, settings), file);
  return config.reward === null ? config : { ...config, reward: resolve(dirname(path), config.reward) };
}
