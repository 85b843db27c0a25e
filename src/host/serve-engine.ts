/**
 * The engine's side of the protocol: answers one connection until it closes.
 *
 * Invariants:
 * 1. Every accepted call is answered, failures too; only a broken connection leaves calls open.
 * 2. When the caller goes away, its requests are aborted and the engine is closed.
 */
import type { Duplex } from 'node:stream';
import { boundaryOf, messageOf } from '../core/errors.ts';
import { policyVersion } from '../core/ids.ts';
import type { GenerateEvent, LocalEngine, TrainRequest } from '../engine/engine.ts';
import { Channel } from './channel.ts';
import type { Blob, Frame } from './frames.ts';
import {
  type FromEngine,
  type HostedOptions,
  type LoadInput,
  type Method,
  packTrainResult,
  protocolVersion,
  type SaveInput,
  type ToEngine,
  unpackTrain,
} from './messages.ts';

export type OpenEngine = (options: HostedOptions) => Promise<LocalEngine>;

/** Resolves when the connection closed and the engine with it. */
export function serveEngine(stream: Duplex, openEngine: OpenEngine): Promise<void> {
  return new Promise((resolve) => {
    new EngineService(stream, openEngine, resolve);
  });
}

class EngineService {
  readonly #channel: Channel;
  readonly #openEngine: OpenEngine;
  #engine: LocalEngine | null = null;
  #running = new Map<number, AbortController>();

  constructor(stream: Duplex, openEngine: OpenEngine, onClosed: () => void) {
    this.#openEngine = openEngine;
    this.#channel = new Channel(
      stream,
      (frame) => this.#receive(frame),
      () => {
        for (const controller of this.#running.values()) controller.abort();
        void Promise.resolve(this.#engine?.close()).finally(onClosed);
      },
    );
  }

  #receive({ message, blobs }: Frame): void {
    const received = message as ToEngine;
    switch (received.type) {
      case 'open':
        void this.#open(received.protocol, received.options);
        return;
      case 'generate':
        void this.#generate(received.call, received, blobs[0] as Int32Array);
        return;
      case 'abort':
        this.#running.get(received.call)?.abort();
        return;
      case 'method':
        void this.#answer(received.call, received.method, received.given, blobs);
        return;
      default:
        received satisfies never;
    }
  }

  async #open(protocol: number, options: HostedOptions): Promise<void> {
    try {
      if (protocol !== protocolVersion) throw new Error(`it speaks protocol ${protocol}, this host ${protocolVersion}`);
      const engine = await this.#openEngine(options);
      this.#engine = engine;
      const { version, contextLength, vocabSize } = engine;
      this.#send({ type: 'opened', version, contextLength, vocabSize });
    } catch (thrown) {
      this.#fail(0, thrown);
      this.#channel.end();
    }
  }

  async #generate(call: number, asked: ToEngine & { type: 'generate' }, ids: Int32Array): Promise<void> {
    const controller = new AbortController();
    this.#running.set(call, controller);
    const { sampling, seed } = asked;
    try {
      const request = { ids, sampling, seed: BigInt(seed), signal: controller.signal };
      for await (const event of this.#opened().generate(request)) {
        if (this.#channel.congested) await this.#channel.drained();
        this.#sendEvent(call, event);
      }
    } catch (thrown) {
      this.#send({ type: 'end', call, reason: 'failed', message: messageOf(thrown) });
    }
    this.#running.delete(call);
  }

  #sendEvent(call: number, event: GenerateEvent): void {
    if (event.type === 'end') {
      const { type, reason } = event;
      this.#send(reason === 'failed' ? { type, call, reason, message: event.message } : { type, call, reason });
      return;
    }
    const { ids, logprobs, entropies, version } = event;
    this.#send({ type: 'tokens', call, version }, entropies === null ? [ids, logprobs] : [ids, logprobs, entropies]);
  }

  async #answer(call: number, method: Method, given: unknown, blobs: readonly Blob[]): Promise<void> {
    try {
      const result = await perform(this.#opened(), method, given, blobs);
      const { version } = this.#opened();
      this.#send({ type: 'result', call, version, value: result.value }, result.blobs);
    } catch (thrown) {
      this.#fail(call, thrown);
    }
  }

  #opened(): LocalEngine {
    if (this.#engine === null) throw new Error('the engine is not open yet');
    return this.#engine;
  }

  #fail(call: number, thrown: unknown): void {
    this.#send({ type: 'error', call, boundary: boundaryOf(thrown, 'engine'), message: messageOf(thrown) });
  }

  #send(message: FromEngine, blobs: readonly Blob[] = []): void {
    this.#channel.send(message, blobs);
  }
}

interface Performed {
  readonly value: unknown;
  readonly blobs: readonly Blob[];
}

async function perform(
  engine: LocalEngine,
  method: Method,
  given: unknown,
  blobs: readonly Blob[],
): Promise<Performed> {
  switch (method) {
    case 'score':
      return { value: null, blobs: [await engine.score(blobs[0] as Int32Array)] };
    case 'train': {
      const request: TrainRequest = unpackTrain(given, blobs);
      return packTrainResult(await engine.train(request));
    }
    case 'save': {
      const { directory, include } = given as SaveInput;
      return plain(await engine.save(directory, include));
    }
    case 'load': {
      const { directory, version, optimizer } = given as LoadInput;
      return plain(await engine.load(directory, policyVersion(version), optimizer));
    }
    case 'publish':
    case 'pause':
    case 'resume':
    case 'statistics':
    case 'snapshot':
    case 'close':
      return plain(await engine[method]());
    default:
      throw new Error(`no method ${method satisfies never}`);
  }
}

function plain(value: unknown): Performed {
  return { value: value ?? null, blobs: [] };
}
