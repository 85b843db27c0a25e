/**
 * A sampler whose engine is started again when it crashes: the calls that were open take the road of a pause, and go on
 * from what was sampled.
 *
 * Invariant: the engine comes back with the weights and the version that it had, so what goes on is what would have come.
 */
import { messageOf } from '../../core/errors.ts';
import type { GenerateEvent, GenerateRequest, Sampler } from '../../engine/engine.ts';
import type { EngineHost } from '../../host/engine-host.ts';

/** A request that saw this many crashes fails: it may be what the engine crashes of. */
const maxCrashes = 2;

export function revivingSampler(
  engine: Pick<EngineHost, 'alive' | 'contextLength' | 'vocabSize' | 'generate'>,
  restart: () => Promise<void>,
): Sampler {
  let restarting: Promise<void> | null = null;
  const revive = (): Promise<void> => {
    restarting ??= restart().finally(() => {
      restarting = null;
    });
    return restarting;
  };
  const crashes = new WeakMap<AbortSignal, number>();

  async function* generate(request: GenerateRequest): AsyncGenerator<GenerateEvent> {
    try {
      if (!engine.alive) await revive();
    } catch (failure) {
      yield { type: 'end', reason: 'failed', message: messageOf(failure) };
      return;
    }
    for await (const event of engine.generate(request)) {
      const crashed = event.type === 'end' && event.reason === 'failed' && !engine.alive;
      // One signal is one turn: its later calls are the same request, continued.
      const seen = request.signal === undefined ? maxCrashes : (crashes.get(request.signal) ?? 0);
      if (!crashed || seen >= maxCrashes) {
        yield event;
      } else {
        if (request.signal !== undefined) crashes.set(request.signal, seen + 1);
        yield { type: 'end', reason: 'paused' };
      }
    }
  }

  return { contextLength: engine.contextLength, vocabSize: engine.vocabSize, generate };
}
