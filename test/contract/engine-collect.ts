/** Runs a request to its end. */
import { noTruncation, type Truncation } from '../../src/core/truncation.ts';
import type { GenerateEvent, GenerateRequest, Sampler } from '../../src/engine/engine.ts';

export interface Completion {
  readonly ids: readonly number[];
  readonly logprobs: readonly number[];
  /** Empty where the engine gives none. */
  readonly entropies: readonly number[];
  readonly versions: readonly number[];
  readonly end: Extract<GenerateEvent, { type: 'end' }>;
}

export async function collect(events: AsyncIterable<GenerateEvent>): Promise<Completion> {
  const ids: number[] = [];
  const logprobs: number[] = [];
  const entropies: number[] = [];
  const versions: number[] = [];
  const ends: Completion['end'][] = [];
  for await (const event of events) {
    if (ends.length > 0) throw new Error('an event followed the end');
    if (event.type === 'end') {
      ends.push(event);
      continue;
    }
    const columns = [event.logprobs, event.entropies ?? event.logprobs];
    if (columns.some((column) => column.length !== event.ids.length)) {
      throw new Error('the arrays of an event are not aligned');
    }
    ids.push(...event.ids);
    logprobs.push(...event.logprobs);
    entropies.push(...(event.entropies ?? []));
    versions.push(...event.ids.map(() => event.version));
  }
  if (ends.length !== 1) throw new Error(`${ends.length} end events`);
  return { ids, logprobs, entropies, versions, end: ends[0] as Completion['end'] };
}

export interface Ask {
  readonly temperature?: number;
  readonly truncation?: Truncation;
  readonly maxTokens?: number;
  readonly stopIds?: readonly number[];
  readonly seed?: bigint;
  readonly signal?: AbortSignal;
}

export function ask(sampler: Sampler, ids: readonly number[], options: Ask = {}): Promise<Completion> {
  return collect(sampler.generate(requestOf(ids, options)));
}

export function requestOf(ids: readonly number[], options: Ask = {}): GenerateRequest {
  const { temperature = 1, truncation = noTruncation, maxTokens = 12, stopIds = [], seed = 7n, signal } = options;
  const request = { ids: Int32Array.from(ids), sampling: { temperature, truncation, maxTokens, stopIds }, seed };
  return signal === undefined ? request : { ...request, signal };
}
