/**
 * What our proxy is compared with: the shortest relay that keeps what training needs. It parses the request, asks the
 * upstream for ids and log-probabilities, passes the reply on as it comes, and appends a line of JSON.
 *
 * It does not: match histories, keep ids of one turn for the next, check keys, sync its file, limit anything.
 */
import { createWriteStream } from 'node:fs';
import { Agent, createServer, request as httpRequest, type Server } from 'node:http';

export function naiveRelay(upstream: string, file: string): Server {
  const log = createWriteStream(file, { flags: 'a' });
  const agent = new Agent({ keepAlive: true });
  return createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const asked = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
      const body = JSON.stringify({ ...asked, logprobs: true, return_token_ids: true });
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const call = httpRequest(`${upstream}${request.url}`, { method: 'POST', headers, agent }, (reply) => {
        response.writeHead(reply.statusCode ?? 502, { 'content-type': reply.headers['content-type'] ?? '' });
        const passed: Buffer[] = [];
        reply.on('data', (chunk: Buffer) => {
          passed.push(chunk);
          response.write(chunk);
        });
        reply.on('end', () => {
          log.write(`${JSON.stringify({ request: asked, reply: Buffer.concat(passed).toString() })}\n`);
          response.end();
        });
      });
      call.end(body);
    });
  });
}
