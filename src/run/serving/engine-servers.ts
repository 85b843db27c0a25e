/** The engines of someone else's that `espalier serve` samples on: vLLM or SGLang, one or several of the same model. */
import { EspalierError } from '../../core/errors.ts';
import { openUpstream, type UpstreamKind } from '../../engine/engines/upstream.ts';
import { Replicas } from '../../engine/replicas.ts';
import type { Drawing } from '../../engine/upstream.ts';
import type { SamplingRule } from '../../proxy/turn-sampling.ts';
import type { Renderer } from '../../tokens/renderer.ts';

export interface EngineServers {
  readonly urls: readonly string[];
  /** Null: what each server says that it is. */
  readonly kind: UpstreamKind | null;
  /** Sent to all of them; null sends none. */
  readonly key: string | null;
}

/** Letters, digits, space and bytes of several kinds: tokenizers that agree on it are the same one. */
const sentence = 'def total(a, b):\n    return a + 17 * b  # naïve, 学习 🙂\n';

/** Throws EspalierError('config') for a server that is not there, serves another model, or cannot do what is asked. */
export async function openEngineServers(
  { urls, kind, key }: EngineServers,
  renderer: Renderer,
  drawings: readonly Drawing[],
  tell: (line: string) => void,
): Promise<Replicas> {
  const repeated = urls.find((url, i) => urls.indexOf(url) !== i);
  if (repeated !== undefined) throw new EspalierError('config', `--engine-url ${repeated} is given twice`);
  const { tokenizer } = renderer;
  const encoded = { text: sentence, ids: [...tokenizer.encode(sentence)] };
  const opening = urls.map((url) =>
    openUpstream({
      ...{ url, key, vocabSize: tokenizer.vocabSize, needs: { drawings, encoded } },
      ...(kind !== null && { kind }),
    }),
  );
  try {
    return new Replicas(await Promise.all(opening), { tell });
  } catch (thrown) {
    for (const opened of await Promise.allSettled(opening)) {
      if (opened.status === 'fulfilled') await opened.value.close();
    }
    throw thrown;
  }
}

/** Every way in which tokens may be drawn: where requests choose, the one that most servers fail at stands for all. */
export function drawingsOf({ temperature, truncation, samplingBy }: Required<SamplingRule>): Drawing[] {
  const chosen = { temperature: 2, truncation: { topK: 1, topP: 0.5, minP: 0.5 } };
  return [{ temperature, truncation }, ...(samplingBy === 'request' ? [chosen] : [])];
}
