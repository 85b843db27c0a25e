/** From the copy of a call to what it said. Bodies may be compressed, in either direction. */
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, zstdDecompress } from 'node:zlib';
import type { RelayedReply, RelayedRequest, RelayFormat } from './format.ts';
import { chat } from './formats/chat.ts';
import { completions } from './formats/completions.ts';
import { messages } from './formats/messages.ts';
import { responses } from './formats/responses.ts';
import type { Exchange } from './forward.ts';
import { type Fields, fieldsOf, jsonOf } from './lenient.ts';
import { readEvents } from './sse-reader.ts';

const formats: Readonly<Record<string, RelayFormat>> = {
  '/v1/chat/completions': chat,
  '/v1/completions': completions,
  '/v1/messages': messages,
  '/v1/responses': responses,
};

/** Null for a path whose calls are no turns. `path` may have a query. */
export function formatOf(method: string | undefined, path: string): RelayFormat | null {
  return method === 'POST' ? (formats[path.split('?')[0] as string] ?? null) : null;
}

/** Why a call is no turn. */
export type NoTurn =
  /** The upstream answered with an error. */
  | 'error'
  /** The reply broke off, upstream or at the client. */
  | 'broken'
  /** Larger than what is kept of a call. */
  | 'too-large'
  /** Not in the form that its path promises. */
  | 'unreadable';

export type ReadExchange =
  | { readonly type: 'turn'; readonly request: RelayedRequest; readonly replies: readonly RelayedReply[] }
  | { readonly type: 'none'; readonly why: NoTurn };

export async function readExchange(
  format: RelayFormat,
  exchange: Exchange,
  requestEncoding: string | undefined,
): Promise<ReadExchange> {
  const none = (why: NoTurn): ReadExchange => ({ type: 'none', why });
  if (exchange.status < 200 || exchange.status > 299) return none('error');
  if (exchange.end === 'upstream-broke') return none('broken');
  const [sent, received] = [exchange.sent.bytes(), exchange.received.bytes()];
  if (sent === null || received === null) return none('too-large');
  const { 'content-type': type, 'content-encoding': encoding } = exchange.replyHeaders;
  const [asked, told] = await Promise.all([textOf(sent, requestEncoding), textOf(received, encoding)]);
  const body = asked === null ? null : jsonOf(asked);
  if (body === null || told === null) return none(exchange.end === 'whole' ? 'unreadable' : 'broken');
  const reply = type?.startsWith('text/event-stream') ? format.joined(readEvents(told)) : replyBody(told);
  const replies = reply === null ? null : format.reply(reply);
  // A client that leaves after the last event has a whole reply.
  if (replies === null) return none(exchange.end === 'client-left' || isStream(type) ? 'broken' : 'unreadable');
  return { type: 'turn', request: format.request(fieldsOf(body)), replies };
}

const isStream = (type: string | undefined): boolean => type?.startsWith('text/event-stream') ?? false;

function replyBody(text: string): Fields | null {
  const value = jsonOf(text);
  return value === null ? null : fieldsOf(value);
}

const maxOutputLength = 256 << 20;
const decoders: Readonly<Record<string, (bytes: Buffer) => Promise<Buffer>>> = {
  gzip: (bytes) => promisify(gunzip)(bytes, { maxOutputLength }),
  'x-gzip': (bytes) => promisify(gunzip)(bytes, { maxOutputLength }),
  deflate: (bytes) => promisify(inflate)(bytes, { maxOutputLength }),
  br: (bytes) => promisify(brotliDecompress)(bytes, { maxOutputLength }),
  zstd: (bytes) => promisify(zstdDecompress)(bytes, { maxOutputLength }),
  identity: (bytes) => Promise.resolve(bytes),
};

/** Null when it cannot be decoded. */
async function textOf(bytes: Buffer, encoding: string | undefined): Promise<string | null> {
  let decoded = bytes;
  for (const name of (encoding ?? 'identity')
    .toLowerCase()
    .split(/\s*,\s*/)
    .reverse()) {
    const decode = decoders[name];
    if (decode === undefined) return null;
    try {
      decoded = await decode(decoded);
    } catch {
      return null;
    }
  }
  return decoded.toString('utf8');
}
