/**
 * The caller's side of the protocol: an engine whose work is done at the other end of a stream.
 *
 * Invariants:
 * 1. When the connection closes, every open request ends with `failed` and every pending call throws an `engine` error.
 * 2. `version` is the other side's as of its last answer.
 */
import type { Duplex } from 'node:stream';
import { EspalierError } from '../core/errors.ts';
import { type PolicyVersion, policyVersion } from '../core/ids.ts';
import type {
  EngineStatistics,
  GenerateEvent,
  GenerateRequest,
  LocalEngine,
  Snapshot,
  TrainRequest,
  TrainResult,
} from '../engine/engine.ts';
import { EventStream } from '../engine/event-stream.ts';
import { Channel } from './channel.ts';
import type { Blob, Frame } from './frames.ts';
import {
  type FromEngine,
  type HostedOptions,
  type LoadInput,
  type Method,
  packGenerate,
  packTrain,
  protocolVersion,
  type SaveInput,
  type ToEngine,
  unpackTrainResult,
} from './messages.ts';

interface Answer {
  readonly value: unknown;
  readonly blobs: readonly Blob[];
}

interface PendingCall {
  resolve(answer: Answer): void;
  reject(thrown: EspalierError): void;
}

interface OpenRequest {
  readonly stream: EventStream;
  readonly release: () => void;
}

/** Opens the engine at the other end. `whyClosed` words the failure when the connection breaks. */
export async function connectEngine(
  stream: Duplex,
  options: HostedOptions,
  whyClosed: () => string | Promise<string>,
): Promise<RemoteEngine> {
  const engine = new RemoteEngine(stream, whyClosed);
  await engine.open(options);
  return engine;
}

export class RemoteEngine implements LocalEngine {
  readonly #channel: Channel;
  readonly #requests = new Map<number, OpenRequest>();
  readonly #calls = new Map<number, PendingCall>();
  #lastCall = 0;
  #facts = { version: policyVersion(0), contextLength: 0, vocabSize: 0 };
  #closed: string | null = null;

  constructor(stream: Duplex, whyClosed: () => string | Promise<string>) {
    this.#channel = new Channel(
      stream,
      (frame) => this.#receive(frame),
      () => void Promise.resolve(whyClosed()).then((why) => this.#breakOff(why)),
    );
  }

  get version(): PolicyVersion {
    return this.#facts.version;
  }

  get contextLength(): number {
    return this.#facts.contextLength;
  }

  get vocabSize(): number {
    return this.#facts.vocabSize;
  }

  async open(options: HostedOptions): Promise<void> {
    const opened = new Promise<Answer>((resolve, reject) => this.#calls.set(0, { resolve, reject }));
    const message: ToEngine = { type: 'open', protocol: protocolVersion, options };
    this.#channel.send(message);
    await opened;
  }

  generate(request: GenerateRequest): AsyncIterable<GenerateEvent> {
    const call = ++this.#lastCall;
    const abort = () => this.#channel.send({ type: 'abort', call } satisfies ToEngine);
    const stream = new EventStream(abort);
    if (this.#closed !== null) {
      stream.push({ type: 'end', reason: 'failed', message: this.#closed });
      return stream;
    }
    const { signal } = request;
    signal?.addEventListener('abort', abort, { once: true });
    this.#requests.set(call, { stream, release: () => signal?.removeEventListener('abort', abort) });
    void this.#start(call, request);
    return stream;
  }

  async score(ids: Int32Array): Promise<Float32Array> {
    const { blobs } = await this.#call('score', null, [ids]);
    return blobs[0] as Float32Array;
  }

  async train(request: TrainRequest): Promise<TrainResult> {
    const { given, blobs } = packTrain(request);
    const answer = await this.#call('train', given, blobs);
    return unpackTrainResult(answer.value, answer.blobs);
  }

  async publish(): Promise<PolicyVersion> {
    return (await this.#call('publish')).value as PolicyVersion;
  }

  async save(directory: string, include: SaveInput['include'] = 'weights and optimizer'): Promise<void> {
    await this.#call('save', { directory, include } satisfies SaveInput);
  }

  async load(directory: string, version: PolicyVersion, optimizer: LoadInput['optimizer']): Promise<void> {
    await this.#call('load', { directory, version, optimizer } satisfies LoadInput);
  }

  async pause(): Promise<void> {
    await this.#call('pause');
  }

  async resume(): Promise<void> {
    await this.#call('resume');
  }

  async statistics(): Promise<EngineStatistics> {
    return (await this.#call('statistics')).value as EngineStatistics;
  }

  async snapshot(): Promise<Snapshot> {
    return (await this.#call('snapshot')).value as Snapshot;
  }

  async close(): Promise<void> {
    if (this.#closed !== null) return;
    await this.#call('close');
    this.#closed = 'the engine was closed';
    this.#channel.end();
  }

  async #start(call: number, request: GenerateRequest): Promise<void> {
    if (this.#channel.congested) await this.#channel.drained();
    const { message, blobs } = packGenerate(call, request);
    this.#channel.send(message, blobs);
    if (request.signal?.aborted === true) this.#channel.send({ type: 'abort', call } satisfies ToEngine);
  }

  #call(method: Method, given: unknown = null, blobs: readonly Blob[] = []): Promise<Answer> {
    if (this.#closed !== null) return Promise.reject(new EspalierError('engine', this.#closed));
    const call = ++this.#lastCall;
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject });
      const message: ToEngine = { type: 'method', call, method, given };
      this.#channel.send(message, blobs);
    });
  }

  #receive({ message, blobs }: Frame): void {
    const received = message as FromEngine;
    switch (received.type) {
      case 'opened': {
        const { version, contextLength, vocabSize } = received;
        this.#facts = { version: policyVersion(version), contextLength, vocabSize };
        this.#settle(0)?.resolve({ value: null, blobs: [] });
        return;
      }
      case 'tokens': {
        const [ids, logprobs, entropies = null] = blobs as [Int32Array, Float32Array, Float32Array?];
        const version = policyVersion(received.version);
        this.#requests.get(received.call)?.stream.push({ type: 'tokens', ids, logprobs, entropies, version });
        return;
      }
      case 'end': {
        const { call, type, reason } = received;
        this.#end(call, reason === 'failed' ? { type, reason, message: received.message } : { type, reason });
        return;
      }
      case 'result':
        this.#facts = { ...this.#facts, version: policyVersion(received.version) };
        this.#settle(received.call)?.resolve({ value: received.value, blobs });
        return;
      case 'error':
        this.#settle(received.call)?.reject(new EspalierError(received.boundary, received.message));
        return;
      default:
        received satisfies never;
    }
  }

  #settle(call: number): PendingCall | undefined {
    const pending = this.#calls.get(call);
    this.#calls.delete(call);
    return pending;
  }

  #end(call: number, event: GenerateEvent): void {
    const request = this.#requests.get(call);
    this.#requests.delete(call);
    request?.release();
    request?.stream.push(event);
  }

  #breakOff(why: string): void {
    this.#closed ??= why;
    for (const call of [...this.#requests.keys()]) this.#end(call, { type: 'end', reason: 'failed', message: why });
    for (const call of [...this.#calls.keys()]) this.#settle(call)?.reject(new EspalierError('engine', why));
  }
}
