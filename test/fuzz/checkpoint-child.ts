/**
 * Loads model folders as `serve` does, in a process of its own: weights, tokenizer, chat template, engine, one token.
 *
 * Spoken to over the channel of `fork`, one folder at a time.
 */
import { EspalierError } from '../../src/core/errors.ts';
import { openEmbedded } from '../../src/engine/engines/embedded.ts';
import { loadRenderer } from '../../src/tokens/load.ts';

export interface Loaded {
  /** `failed`: an error of ours; `broken`: any other, which is a fault. */
  readonly outcome: 'loaded' | 'failed' | 'broken';
  readonly message: string;
  readonly rss: number;
}

async function load(directory: string): Promise<Omit<Loaded, 'rss'>> {
  try {
    const renderer = await loadRenderer(directory);
    const engine = await openEmbedded({ model: directory, threads: 1 });
    try {
      const ids = renderer.prompt([{ role: 'user', content: 'Fix total.' }], []);
      const sampling = { temperature: 1, maxTokens: 1, stopIds: renderer.stopIds };
      for await (const event of engine.generate({ ids, sampling, seed: 1n })) {
        if (event.type === 'end' && event.reason === 'failed') return { outcome: 'broken', message: event.message };
      }
    } finally {
      await engine.close();
    }
    return { outcome: 'loaded', message: '' };
  } catch (thrown) {
    if (thrown instanceof EspalierError) return { outcome: 'failed', message: thrown.message };
    return { outcome: 'broken', message: thrown instanceof Error ? `${thrown.stack}` : String(thrown) };
  }
}

process.on('message', (directory: string) => {
  // What is not caught ends the process, which the parent sees.
  void load(directory).then((result) => process.send?.({ ...result, rss: process.memoryUsage.rss() } satisfies Loaded));
});
process.on('disconnect', () => process.exit());
