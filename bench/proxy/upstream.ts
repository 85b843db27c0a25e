/**
 * A server that answers chat completions as vLLM does with `return_token_ids` and `logprobs`: a token an event, ids and
 * log-probabilities beside the text. A process of its own; its processor time is nobody's.
 *
 * Query: `ids`, how many the prompt is said to have; `pace`, milliseconds between tokens.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { reply, steps } from './script.ts';

const pieces = reply.pieces;
const prompts = new Map<number, string>();
function promptIds(count: number): string {
  const known = prompts.get(count) ?? JSON.stringify(Array.from({ length: count }, (_, i) => (i * 7919) % 1280));
  prompts.set(count, known);
  return known;
}

function choiceOf(piece: string, at: number): string {
  const logprob = { token: piece, logprob: -0.0123456789 * (at + 1), bytes: [...Buffer.from(piece)], top_logprobs: [] };
  return `"logprobs":${JSON.stringify({ content: [logprob] })},"token_ids":[${reply.ids[at]}]`;
}
const events = pieces.map(
  (piece, at) =>
    `"choices":[{"index":0,"delta":${JSON.stringify({ content: piece })},${choiceOf(piece, at)},"finish_reason":null}]}\n\n`,
);
/** One engine, whatever streams it has. */
const clocks = new Map<number, () => Promise<void>>();
function stepsOf(pace: number): () => Promise<void> {
  const known = clocks.get(pace) ?? steps(pace);
  clocks.set(pace, known);
  return known;
}
const head = `{"id":"chatcmpl-0123456789abcdef","object":"chat.completion.chunk","created":1764000000,"model":"policy",`;

const server = createServer((request, response) => {
  const url = new URL(request.url as string, 'http://upstream');
  const count = Number(url.searchParams.get('ids') ?? 16);
  const step = stepsOf(Number(url.searchParams.get('pace') ?? 0));
  let streams = false;
  request.on('data', (chunk: Buffer) => {
    streams ||= chunk.includes('"stream":true');
  });
  request.on('end', async () => {
    if (!streams) {
      for (const _ of pieces) await step();
      const content = pieces.map((piece, at) => `{${choiceOf(piece, at)}}`).join();
      response.setHeader('content-type', 'application/json');
      response.end(
        `${head}"prompt_token_ids":${promptIds(count)},"choices":[{"index":0,"message":${JSON.stringify({
          role: 'assistant',
          content: reply.text,
        })},"tokens":[${content}],"finish_reason":"stop"}]}`,
      );
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const [at, event] of events.entries()) {
      await step();
      response.write(`data: ${head}${at === 0 ? `"prompt_token_ids":${promptIds(count)},` : ''}${event}`);
    }
    response.write(`data: ${head}"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n`);
    response.end('data: [DONE]\n\n');
  });
});
server.listen(0, '127.0.0.1', () => process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
process.on('disconnect', () => process.exit(0));
