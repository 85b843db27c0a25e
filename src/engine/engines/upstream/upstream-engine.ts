/**
 * A sampler on a server that speaks one of the upstream protocols; what the interface promises is kept here.
 *
 * Not covered: who else uses the server. A pause ends their requests too; where the server says which weights a token
 * came from (SGLang), weights that someone else changed fail the request.
 *
 * Invariants: those of ../../upstream.ts, and
 * 1. A request is sent only while the engine is alive and not paused, and carries the version of that moment.
 * 2. Whatever fails, requests that wait for the end of a pause get an end.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EspalierError, messageOf } from '../../../core/errors.ts';
import { type PolicyVersion, policyVersion } from '../../../core/ids.ts';
import { noTruncation, problemOfTruncation } from '../../../core/truncation.ts';
import type { GenerateEvent, GenerateRequest } from '../../engine.ts';
import type { Drawing, Upstream } from '../../upstream.ts';
import { Gate } from './gate.ts';
import { OpenRequests } from './open-requests.ts';
import type { ProbedServer } from './probe.ts';
import type { Piece, UpstreamProtocol } from './protocol.ts';
import { ServerFault, type UpstreamServer } from './server.ts';

export interface UpstreamEngineOptions {
  readonly vocabSize: number;
  /** What the weights are called that the server has now; 0 when not given. */
  readonly version?: PolicyVersion;
  /** Without a byte for so long, the server is asked for its health; 30 seconds when not given. */
  readonly quietMs?: number;
}

/** What a server that was paused may take to end its streams by itself. */
const graceMs = 250;

type End = Extract<GenerateEvent, { type: 'end' }>;

export class UpstreamEngine implements Upstream {
  readonly name: string;
  readonly contextLength: number;
  readonly vocabSize: number;
  readonly #server: UpstreamServer;
  readonly #protocol: UpstreamProtocol;
  readonly #probed: ProbedServer;
  /** What the server calls the weights that it should have. */
  #label: string | null;
  #version: PolicyVersion;
  /** Where they are, once they were replaced. */
  #folder: string | null = null;
  #fault: string | null = null;
  readonly #gate = new Gate();
  readonly #open: OpenRequests;

  constructor(
    server: UpstreamServer,
    protocol: UpstreamProtocol,
    probed: ProbedServer,
    options: UpstreamEngineOptions,
  ) {
    this.name = server.url;
    this.contextLength = probed.contextLength;
    this.vocabSize = options.vocabSize;
    this.#server = server;
    this.#protocol = protocol;
    this.#probed = probed;
    this.#label = probed.weights.label;
    this.#version = options.version ?? policyVersion(0);
    const quietMs = options.quietMs ?? 30_000;
    this.#open = new OpenRequests({
      quietMs,
      isHealthy: () => server.answers('/health', quietMs),
      giveUp: (why) => this.#lose(`${this.name}: ${why}`),
    });
  }

  get version(): PolicyVersion {
    return this.#version;
  }

  get alive(): boolean {
    return this.#fault === null;
  }

  problemOf(drawing: Drawing): string | null {
    return this.#probed.problemOf(drawing);
  }

  async *generate(request: GenerateRequest): AsyncGenerator<GenerateEvent, void, undefined> {
    const problem = this.#problemOf(request);
    if (problem !== null) return yield failed(problem);
    const room = this.contextLength - request.ids.length;
    if (room < 1) return yield { type: 'end', reason: 'length' };
    await this.#gate.passed(request.signal);
    if (isAborted(request)) return yield aborted;
    if (this.#fault !== null) return yield failed(this.#fault);
    const { sampling } = request;
    yield* this.#sample({ ...request, sampling: { ...sampling, maxTokens: Math.min(sampling.maxTokens, room) } });
  }

  async recover(): Promise<void> {
    try {
      if (!(await this.#server.answers('/health', 30_000))) throw new ServerFault('it fails its health check');
      await this.#restoreWeights();
    } catch (cause) {
      throw new EspalierError('engine', `${this.name} is not back: ${messageOf(cause)}`, { cause });
    }
    this.#fault = null;
  }

  async pause(): Promise<void> {
    if (this.#gate.closed) return;
    this.#gate.close();
    if (this.#probed.weights.replaceable && this.alive) {
      await this.#ask('pause', () => this.#protocol.pause(this.#server));
      const waitUntil = Date.now() + graceMs;
      while (this.#open.count > 0 && Date.now() < waitUntil) await new Promise((done) => setTimeout(done, 5));
    }
    this.#open.endAll(pausing);
  }

  async resume(): Promise<void> {
    if (!this.#gate.closed) return;
    try {
      if (this.#probed.weights.replaceable && this.alive) {
        await this.#ask('resume', () => this.#protocol.resume(this.#server));
      }
    } finally {
      this.#gate.open();
    }
  }

  async load(directory: string, version: PolicyVersion): Promise<void> {
    if (!this.#probed.weights.replaceable) {
      throw new EspalierError('config', `${this.name} takes no new weights: ${this.#protocol.wayOut.replaceable}`);
    }
    // vLLM does not survive a folder that is not there.
    checkFolder(directory);
    const wasPaused = this.#gate.closed;
    this.#folder = resolve(directory);
    this.#version = version;
    this.#label = String(version);
    try {
      await this.pause();
      if (this.alive) await this.#ask('load', () => this.#loadTarget());
    } finally {
      if (!wasPaused) await this.resume();
    }
  }

  async close(): Promise<void> {
    this.#lose('the engine was closed');
    this.#gate.open();
    this.#server.close();
  }

  async *#sample(request: GenerateRequest): AsyncGenerator<GenerateEvent, void, undefined> {
    const [version, label] = [this.#version, this.#label];
    const cut = new AbortController();
    const signal = request.signal === undefined ? cut.signal : AbortSignal.any([cut.signal, request.signal]);
    this.#open.add(cut);
    let end: End | null = null;
    try {
      const read = this.#protocol.reader();
      const body = this.#protocol.generateBody(request, this.#probed.model);
      for await (const event of this.#server.events(this.#protocol.generatePath, body, signal)) {
        this.#open.heard();
        const piece = read(event);
        const tokens = tokensOf(piece, version, label);
        if (tokens !== null) yield tokens;
        if (piece.end !== null) end = { type: 'end', reason: piece.end === 'aborted' ? 'paused' : piece.end };
      }
      // A request that is aborted before its first token has no last event either.
      end ??= this.#gate.closed ? paused : this.#endOf(new ServerFault('it ended a completion without a reason'), cut);
    } catch (thrown) {
      end ??= isAborted(request) ? aborted : this.#endOf(thrown, cut);
    } finally {
      this.#open.remove(cut);
    }
    yield end;
  }

  /** What a request ends with that broke. */
  #endOf(thrown: unknown, cut: AbortController): End {
    if (cut.signal.aborted) return cut.signal.reason === pausing ? paused : failed(messageOf(cut.signal.reason));
    const message = `${this.name}: ${messageOf(thrown)}`;
    if (thrown instanceof ServerFault) this.#lose(message);
    return failed(message);
  }

  #lose(message: string): void {
    this.#fault ??= message;
    this.#open.endAll(new ServerFault(this.#fault));
  }

  async #restoreWeights(): Promise<void> {
    const { label } = await this.#protocol.weights(this.#server);
    if (label === this.#label) return;
    if (this.#folder === null) throw new Error(`its weights were "${this.#label}" and are "${label}" now`);
    await this.#protocol.pause(this.#server);
    await this.#loadTarget();
    if (!this.#gate.closed) await this.#protocol.resume(this.#server);
  }

  #loadTarget(): Promise<void> {
    return this.#protocol.load(this.#server, this.#folder as string, this.#label as string);
  }

  /** A server that fails at this is in no state that is known. */
  async #ask(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      const message = `${this.name} failed to ${what}: ${messageOf(cause)}`;
      this.#lose(message);
      throw new EspalierError('engine', message, { cause });
    }
  }

  #problemOf({ ids, sampling }: GenerateRequest): string | null {
    if (ids.length === 0) return 'a prompt needs at least one token';
    if (!Number.isInteger(sampling.maxTokens) || sampling.maxTokens < 1) {
      return `maxTokens is ${sampling.maxTokens}; it must be a whole number from 1`;
    }
    if (!(sampling.temperature >= 0)) return `temperature is ${sampling.temperature}; it must be 0 or more`;
    return problemOfTruncation(sampling.truncation ?? noTruncation) ?? this.#probed.problemOf(sampling);
  }
}

const pausing = Symbol('pausing');
const paused: End = { type: 'end', reason: 'paused' };
const aborted: End = { type: 'end', reason: 'failed', message: 'aborted by the caller' };
const failed = (message: string): End => ({ type: 'end', reason: 'failed', message });

const isAborted = ({ signal }: GenerateRequest): boolean => signal?.aborted === true;

function checkFolder(directory: string): void {
  const isModel = existsSync(join(directory, 'config.json'));
  if (isModel && readdirSync(directory).some((name) => name.endsWith('.safetensors'))) return;
  throw new EspalierError('checkpoint', `${directory} holds no config.json with safetensors: a server cannot load it`);
}

/** `label`: what the server must call the weights, where it says. */
function tokensOf(
  { ids, logprobs, weights }: Piece,
  version: PolicyVersion,
  label: string | null,
): GenerateEvent | null {
  if (weights !== null && weights !== label) {
    throw new EspalierError('engine', `its weights are "${weights}", not "${label}": someone else changed them`);
  }
  if (ids.length !== logprobs.length)
    throw new ServerFault(`${logprobs.length} log-probabilities of ${ids.length} ids`);
  if (ids.length === 0) return null;
  return { type: 'tokens', ids: Int32Array.from(ids), logprobs: Float32Array.from(logprobs), entropies: null, version };
}
