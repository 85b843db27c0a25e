/**
 * What a request asks of sampling. The three dialects name these alike; whether a wish is honored is the session's
 * choice, and so is the range that it must lie in.
 */
import type { JsonObject } from './json-reader.ts';

/** null: not given. */
export interface SamplingWish {
  readonly temperature: number | null;
  readonly topK: number | null;
  readonly topP: number | null;
  readonly minP: number | null;
  readonly seed: number | null;
}

/** Of a body whose parameters were read by its dialect's table, which lets only numbers through. */
export function samplingAt(body: JsonObject): SamplingWish {
  const at = (name: string): number | null => {
    const value = body[name];
    return typeof value === 'number' ? value : null;
  };
  return {
    temperature: at('temperature'),
    topK: at('top_k'),
    topP: at('top_p'),
    minP: at('min_p'),
    seed: at('seed'),
  };
}
