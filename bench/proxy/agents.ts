/**
 * Agents that speak to a target: a session each, one call after the other, the history grown by what the model says.
 *
 * They read event streams as far as their first event and their end; what they do costs the target nothing.
 */
import { Agent, request as httpRequest } from 'node:http';
import { type ChatMessage, next, opening, reply } from './script.ts';
import type { Address } from './target.ts';

export interface Work {
  /** Ids of the first request. */
  readonly ids: number;
  readonly turns: number;
  readonly stream: boolean;
  /** Milliseconds between the tokens of a direct upstream; a target has its own. */
  readonly pace: number;
}

export interface Call {
  /** 0 is a session's first one. */
  readonly turn: number;
  /** Milliseconds from the request to the first event of text, or to the reply as JSON. */
  readonly firstMs: number;
  readonly ok: boolean;
}

const agent = new Agent({ keepAlive: true, maxSockets: 4096 });
let sessions = 0;

/** One session's calls. `between` is awaited after each. */
export async function runSession(
  address: Address,
  work: Work,
  between: (turn: number) => Promise<void> = () => Promise.resolve(),
): Promise<Call[]> {
  const session = sessions++;
  const messages: ChatMessage[] = opening(session, work.ids);
  const calls: Call[] = [];
  for (let turn = 0; turn < work.turns; turn++) {
    calls.push({ turn, ...(await ask(address, messages, work)) });
    messages.push({ role: 'assistant', content: reply.text }, next(session, turn));
    await between(turn);
  }
  return calls;
}

function ask(address: Address, messages: readonly ChatMessage[], work: Work): Promise<Omit<Call, 'turn'>> {
  const body = JSON.stringify({ model: 'policy', messages, stream: work.stream });
  const headers = {
    authorization: `Bearer ${address.apiKey}`,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  };
  const url = `${address.baseUrl}/chat/completions?ids=${work.ids}&pace=${work.pace}`;
  const start = performance.now();
  return new Promise((resolve) => {
    const failed = (): void => resolve({ firstMs: Number.NaN, ok: false });
    const call = httpRequest(url, { method: 'POST', agent, headers }, (answer) => {
      let firstMs = Number.NaN;
      let tail = '';
      answer.on('data', (chunk: Buffer) => {
        const text = chunk.toString('latin1');
        if (Number.isNaN(firstMs) && text.includes('"content":')) firstMs = performance.now() - start;
        tail = (tail + text.slice(-16)).slice(-16);
      });
      answer.on('end', () => {
        const ended = work.stream ? tail.endsWith('data: [DONE]\n\n') : tail.trimEnd().endsWith('}');
        resolve({ firstMs, ok: answer.statusCode === 200 && ended });
      });
      answer.on('error', failed);
    });
    call.on('error', failed);
    call.end(body);
  });
}
