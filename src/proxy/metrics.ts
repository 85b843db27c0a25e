/**
 * Figures of a server for Prometheus: `GET /v1/espalier/metrics`, for whoever holds the admin key.
 *
 * Counts since the start of the process; what was recorded before is in the record. Labels hold no text of agents or
 * models.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { Refusal } from '../dialects/refusal.ts';
import type { Journal } from '../trajectory/journal.ts';
import type { TurnRecord } from '../trajectory/records.ts';
import type { AccessKey } from './access.ts';
import { apiKeyOf } from './http-edge.ts';

/** As in Route. */
export const metricsPath = '/espalier/metrics';

export class Metrics {
  readonly #adminKey: AccessKey;
  readonly #registry = new Registry();
  readonly #open = new Set<ServerResponse>();
  readonly #turns: Counter<'fidelity'>;
  readonly #breaks: Counter<'cause'>;
  readonly #tokens: Counter;
  readonly #retokenized: Counter;
  readonly #dropped: Counter;

  constructor(adminKey: AccessKey) {
    this.#adminKey = adminKey;
    const registers = [this.#registry];
    // Event-loop lag, garbage collection, memory, processor time.
    collectDefaultMetrics({ register: this.#registry });
    const counter = <L extends string = string>(name: string, help: string, ...labelNames: L[]): Counter<L> =>
      new Counter({ name: `espalier_${name}`, help, labelNames, registers });
    this.#turns = counter('turns_total', 'Turns that became durable.', 'fidelity');
    this.#breaks = counter('prefix_breaks_total', 'Turns that do not continue the one before them.', 'cause');
    this.#tokens = counter('sampled_tokens_total', 'Sampled tokens of durable turns.');
    this.#retokenized = counter('retokenized_sampled_tokens_total', 'Sampled tokens that had to be tokenized again.');
    this.#dropped = counter('dropped_turns_total', 'Turns that could not be recorded; none of them was acknowledged.');
    const open = this.#open;
    new Gauge({
      name: 'espalier_calls_in_flight',
      help: 'Requests whose answer has not been sent whole.',
      registers,
      collect() {
        this.set(open.size);
      },
    });
    new Gauge({
      name: 'espalier_queued_bytes',
      help: 'Bytes of answers that clients have not taken yet.',
      registers,
      collect() {
        this.set([...open].reduce((sum, response) => sum + response.writableLength, 0));
      },
    });
  }

  /** Tells whether the record takes turns; it does not while a disk is full. */
  watch(journal: Pick<Journal, 'failure'>): void {
    new Gauge({
      name: 'espalier_record_failing',
      help: '1 while nothing can be recorded, and agents are answered 503; else 0.',
      registers: [this.#registry],
      collect() {
        this.set(journal.failure === null ? 0 : 1);
      },
    });
  }

  /** Follows a request to its end. */
  call(response: ServerResponse): void {
    this.#open.add(response);
    response.once('close', () => this.#open.delete(response));
  }

  /** A turn that is durable. */
  turn({ fidelity, completion, retokenizedSampledTokens, break: broken }: TurnRecord): void {
    this.#turns.inc({ fidelity });
    this.#tokens.inc(completion.length);
    this.#retokenized.inc(retokenizedSampledTokens);
    if (broken !== null) this.#breaks.inc({ cause: broken.cause });
  }

  dropped(): void {
    this.#dropped.inc();
  }

  /** Throws Refusal. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.#adminKey.matches(apiKeyOf(request.headers))) {
      throw new Refusal(401, 'Metrics are read with the admin key.', { code: 'invalid_api_key' });
    }
    if (request.method !== 'GET') throw new Refusal(405, `Use GET here, not ${request.method}.`);
    const text = await this.#registry.metrics();
    response.writeHead(200, { 'content-type': this.#registry.contentType }).end(text);
  }
}
