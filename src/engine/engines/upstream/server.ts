/**
 * HTTP to the server of an engine: JSON calls, and streams of JSON events.
 *
 * Invariants:
 * 1. What goes wrong is one of two: ServerRefusal, the request's fault; ServerFault, the server's or the network's.
 * 2. A stream that is left, or whose signal fires, is closed at once: these servers abort what nobody reads.
 * 3. The key is sent to this server only, and is in no message.
 */
import { Agent as HttpAgent, type IncomingMessage, request as overHttp } from 'node:http';
import { Agent as HttpsAgent, request as overHttps } from 'node:https';
import { EspalierError, messageOf } from '../../../core/errors.ts';
import { sseData } from '../../../dialects/sse-data.ts';

/** The server answered that it will not do this. */
export class ServerRefusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The server is gone, ended too early, or failed inside. */
export class ServerFault extends Error {}

export class UpstreamServer {
  /** Without a slash or `/v1` at its end. */
  readonly url: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #agent: HttpAgent;

  /** Throws EspalierError('config') for what is no address. */
  constructor(address: string, key: string | null) {
    this.url = addressOf(address);
    this.#headers = { 'content-type': 'application/json', ...(key !== null && { authorization: `Bearer ${key}` }) };
    const options = { keepAlive: true, maxSockets: Number.POSITIVE_INFINITY };
    this.#agent = this.url.startsWith('https:') ? new HttpsAgent(options) : new HttpAgent(options);
  }

  /** The JSON of an answer, or null for one without a body. */
  async call(method: 'GET' | 'POST', path: string, body?: unknown, timeoutMs = 600_000): Promise<unknown> {
    const late = AbortSignal.timeout(timeoutMs);
    try {
      const text = await this.#read(await this.#open(method, path, body, late));
      return text === '' ? null : jsonOf(text);
    } catch (thrown) {
      throw late.aborted ? new ServerFault(`no answer to ${path} within ${timeoutMs / 1000} s`) : thrown;
    }
  }

  /** Whether it answers 200 under a path in time. Never throws. */
  async answers(path: string, timeoutMs: number): Promise<boolean> {
    try {
      await this.#read(await this.#open('GET', path, undefined, AbortSignal.timeout(timeoutMs)));
      return true;
    } catch {
      return false;
    }
  }

  /** The events of a stream up to `[DONE]`; an event that tells a failure throws it. */
  async *events(path: string, body: unknown, signal: AbortSignal): AsyncGenerator<unknown, void, undefined> {
    const response = await this.#open('POST', path, body, signal);
    let done = false;
    try {
      for await (const data of sseData(response.iterator({ destroyOnReturn: false }))) {
        done = data === '[DONE]';
        if (done) return;
        const event = jsonOf(data);
        throwFailureIn(event);
        yield event;
      }
    } catch (thrown) {
      throw isKnown(thrown) ? thrown : new ServerFault(`the connection broke (${messageOf(thrown)})`);
    } finally {
      // The connection serves the next call, unless somebody would go on writing into it.
      if (done) response.resume();
      else response.destroy();
    }
    throw new ServerFault('the stream ended before its last event');
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Resolves with an answer of success. */
  async #open(method: string, path: string, body: unknown, signal: AbortSignal): Promise<IncomingMessage> {
    const response = await this.#send(method, path, body === undefined ? '' : JSON.stringify(body), signal);
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    const message = failureMessage(await this.#read(response).catch(() => ''));
    if (status >= 500) throw new ServerFault(`${status}: ${message}`);
    throw new ServerRefusal(status, `${status}: ${message}`);
  }

  #send(method: string, path: string, text: string, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = this.url.startsWith('https:') ? overHttps : overHttp;
      const sent = request(`${this.url}${path}`, { method, agent: this.#agent, headers: this.#headers, signal });
      sent.on('response', resolve);
      sent.on('error', (thrown) => {
        // A kept connection that the server closed while this call was on its way to it says nothing of the server.
        if (sent.reusedSocket && !signal.aborted) resolve(this.#send(method, path, text, signal));
        else reject(new ServerFault(`it does not answer (${messageOf(thrown)})`));
      });
      sent.end(text);
    });
  }

  async #read(response: IncomingMessage): Promise<string> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of response) chunks.push(chunk as Buffer);
    } catch (thrown) {
      throw new ServerFault(`the connection broke (${messageOf(thrown)})`);
    }
    return Buffer.concat(chunks).toString();
  }
}

const isKnown = (thrown: unknown): boolean => thrown instanceof ServerFault || thrown instanceof ServerRefusal;

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ServerFault(`it sent what is no JSON: ${text.slice(0, 80)}`);
  }
}

/** `{"error": {"message", "code"}}` in a stream that began well. */
function throwFailureIn(event: unknown): void {
  const error = (event as { readonly error?: { readonly message?: unknown; readonly code?: unknown } } | null)?.error;
  if (error === undefined || error === null) return;
  const code = typeof error.code === 'number' ? error.code : 500;
  const message = `${code}: ${String(error.message ?? error)}`;
  throw code < 500 ? new ServerRefusal(code, message) : new ServerFault(message);
}

/** vLLM says `{"error": {"message"}}`, SGLang that or `{"message"}`, FastAPI `{"detail"}`. */
function failureMessage(text: string): string {
  try {
    const { error, message, detail } = JSON.parse(text) as Readonly<Record<string, unknown>>;
    const inner = (error as { readonly message?: unknown } | null | undefined)?.message;
    const said = inner ?? error ?? message ?? detail ?? text;
    return (typeof said === 'string' ? said : JSON.stringify(said)).slice(0, 500);
  } catch {
    return text.slice(0, 500) || 'no reason given';
  }
}

function addressOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new EspalierError('config', `${text} is no engine's address: write it as http://127.0.0.1:8000`);
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new EspalierError('config', `${url.origin}: an engine's address may not carry a password or parameters`);
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '')}`;
}
