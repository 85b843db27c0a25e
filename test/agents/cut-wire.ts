/**
 * A wire between agents and the proxy that is cut once in every turn: HTTP on both sides, and the connection goes where
 * the cut says.
 *
 * Invariant: an equal body to an equal path is passed whole the second time.
 */
import { Agent, createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { listen, originOf } from '../../src/proxy/listen.ts';

/** How a reply is lost. Both sides see a connection that was reset, but for `closed`, which the proxy sees closed. */
export type Cut =
  /** Nothing of it arrives. */
  | 'before the reply'
  /** Its head and the first bytes arrive. */
  | 'in mid-reply'
  /** All of it but the last event, or the last bytes of JSON: the proxy has sent everything. */
  | 'before the end'
  /** As before, and the proxy's side ends as a client that has read all does. */
  | 'before the end, closed';

export interface CutWire {
  /** `http://127.0.0.1:4123` */
  readonly origin: string;
  /** Replies that were cut. */
  readonly cuts: number;
  close(): Promise<void>;
}

/** `target`: the proxy's origin. `isMeant`: by the body of the request; default all. */
export async function startCutWire(
  target: string,
  cut: Cut,
  isMeant: (body: string) => boolean = () => true,
): Promise<CutWire> {
  const seen = new Set<string>();
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray());
    const key = `${request.url} ${body.toString('base64')}`;
    const isCut = request.method === 'POST' && !seen.has(key) && isMeant(body.toString('utf8'));
    if (isCut) seen.add(key);
    // A connection of its own, which the proxy keeps open.
    const agent = new Agent({ keepAlive: true });
    response.on('close', () => agent.destroy());
    const call = httpRequest(
      new URL(request.url as string, target),
      { method: request.method, headers: { ...request.headers, host: new URL(target).host }, agent },
      (reply) => void (isCut ? passPart(reply, response, cut) : passAll(reply, response)),
    );
    // An agent that leaves, or a proxy that breaks off, shows on the other side.
    call.on('error', () => response.destroy());
    response.on('close', () => response.writableFinished || call.destroy());
    call.end(body);
  });
  await listen(server, '127.0.0.1', 0);
  return {
    origin: originOf(server, '127.0.0.1'),
    get cuts() {
      return seen.size;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function passAll(reply: IncomingMessage, response: ServerResponse): void {
  response.writeHead(reply.statusCode ?? 502, reply.headers);
  reply.on('error', () => response.destroy());
  reply.pipe(response);
}

async function passPart(reply: IncomingMessage, response: ServerResponse, cut: Cut): Promise<void> {
  const { socket } = reply;
  if (cut !== 'before the reply') {
    response.writeHead(reply.statusCode ?? 502, reply.headers);
    const part = cut === 'in mid-reply' ? await firstPiece(reply) : withoutEnd(await reply.toArray());
    await new Promise((resolve) => response.write(part, resolve));
  }
  if (cut === 'before the end, closed') socket.end();
  else socket.resetAndDestroy();
  response.socket?.resetAndDestroy();
}

async function firstPiece(reply: IncomingMessage): Promise<Buffer> {
  const [piece] = await new Promise<[Buffer]>((resolve) => reply.once('data', (chunk: Buffer) => resolve([chunk])));
  return piece.subarray(0, Math.ceil(piece.length / 2));
}

function withoutEnd(pieces: readonly Buffer[]): Buffer {
  const whole = Buffer.concat(pieces);
  const lastEvent = whole.subarray(0, -2).lastIndexOf('\n\n');
  return whole.subarray(0, lastEvent < 0 ? -2 : lastEvent + 2);
}
