/** The scripted reply behind the protocol of real engines: a token an event, every `model` milliseconds. */
import { Socket } from 'node:net';
import { policyVersion } from '../../src/core/ids.ts';
import type { GenerateEvent, GenerateRequest, LocalEngine } from '../../src/engine/engine.ts';
import { serveEngine } from '../../src/host/serve-engine.ts';
import { reply, steps } from './script.ts';

const parent = new Socket({ fd: 3, readable: true, writable: true });
parent.on('close', () => process.exit(0));
const version = policyVersion(0);

async function* generate(request: GenerateRequest, step: () => Promise<void>): AsyncGenerator<GenerateEvent> {
  for (const [at, id] of reply.ids.entries()) {
    await step();
    if (request.signal?.aborted) break;
    const logprobs = Float32Array.of(-0.01 * (at + 1));
    yield { type: 'tokens', ids: Int32Array.of(id), logprobs, entropies: Float32Array.of(0.5), version };
  }
  yield request.signal?.aborted
    ? { type: 'end', reason: 'failed', message: 'aborted' }
    : { type: 'end', reason: 'stop' };
}

const scripted = (
  step: () => Promise<void>,
): Pick<LocalEngine, 'generate' | 'contextLength' | 'vocabSize' | 'version' | 'close'> => ({
  contextLength: 1 << 20,
  vocabSize: 1280,
  version,
  generate: (request) => generate(request, step),
  close: () => Promise.resolve(),
});
await serveEngine(parent, ({ model }) => Promise.resolve(scripted(steps(Number(model))) as LocalEngine));
process.exit(0);
