/**
 * Hostile requests as bytes, and what may come back. A case is a function of its random source and of the addresses.
 *
 * Covered: bodies, JSON as bytes, parameters by the dialects' tables, addresses and keys, headers, framing, pipelining,
 * clients that leave. Not covered: TLS, which the proxy has not, and answers that a client is slow to read.
 */
import type { Random } from '../../src/core/random.ts';
import { chatParameters } from '../../src/dialects/chat-parameters.ts';
import { messagesParameters } from '../../src/dialects/messages-parameters.ts';
import { responsesParameters } from '../../src/dialects/responses-parameters.ts';
import { type PartName, parts } from './good-requests.ts';
import type { HeavyRequest } from './heavy-requests.ts';
import { damage, damageText, hostileText, hostileValue, write, wrongValues } from './hostile-json.ts';
import type { Sending } from './http-client.ts';

/** Where the proxy is and what opens it. */
export interface Target {
  readonly port: number;
  readonly session: string;
  readonly apiKey: string;
  readonly adminKey: string;
}

export interface HostileCase {
  readonly kind: string;
  readonly sending: Sending;
  /** Whose form errors have; `any` where the address does not say. */
  readonly errors: 'openai' | 'anthropic' | 'any';
  /** Turns that it may make durable. */
  readonly turns: number;
}

interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly string[];
  readonly body: Buffer | null;
}

const partNames = Object.keys(parts) as PartName[];
const withBody = partNames.filter((name) => parts[name].bodies.length > 0);
const isAdmin = (name: PartName): boolean => parts[name].path.startsWith('/espalier');
const isRead = (name: PartName): boolean => name === 'models' || name === 'metrics';

function good(random: Random, target: Target, name: PartName, body: Buffer | null = null): Request {
  const { path, errors, bodies } = parts[name];
  const key = isAdmin(name) ? target.adminKey : target.apiKey;
  const onPath = !isAdmin(name) && random.chance(0.7);
  return {
    method: isRead(name) ? 'GET' : 'POST',
    path: `${onPath ? `/s/${target.session}` : ''}/v1${path}`,
    headers: [
      `host: 127.0.0.1:${target.port}`,
      random.pick([`authorization: Bearer ${key}`, `x-api-key: ${key}`]),
      ...(errors === 'anthropic' ? ['anthropic-version: 2023-06-01'] : []),
      ...(random.chance(0.5) ? ['content-type: application/json'] : []),
    ],
    body: body ?? (bodies.length === 0 ? null : Buffer.from(write(random.pick<unknown>(bodies)))),
  };
}

function bytesOf({ method, path, headers, body }: Request): Buffer {
  const length = body === null ? [] : [`content-length: ${body.length}`];
  const head = [`${method} ${path} HTTP/1.1`, ...headers, ...length, '', ''].join('\r\n');
  return Buffer.concat([Buffer.from(head, 'latin1'), body ?? Buffer.alloc(0)]);
}

const wait = (...pieces: Uint8Array[]): Sending => ({ pieces, after: 'wait', answers: 1 });
const turnsOf = (name: PartName): number => (parts[name].samples ? 1 : 0);
const ofPart = (kind: string, name: PartName, bytes: Buffer): HostileCase => ({
  kind,
  sending: wait(bytes),
  errors: parts[name].errors,
  turns: turnsOf(name),
});

type Maker = (random: Random, target: Target) => HostileCase;

const damagedJson: Maker = (random, target) => {
  const name = random.pick(withBody);
  const body = structuredClone(random.pick<object>(parts[name].bodies)) as Record<string, unknown>;
  damage(random, body);
  return ofPart('damaged JSON', name, bytesOf(good(random, target, name, Buffer.from(write(body)))));
};

const damagedBytes: Maker = (random, target) => {
  const name = random.pick(withBody);
  const body = damageText(random, write(random.pick<unknown>(parts[name].bodies)));
  return ofPart('damaged bytes', name, bytesOf(good(random, target, name, body)));
};

const anyJson: Maker = (random, target) => {
  const name = random.pick(withBody);
  return ofPart('any JSON', name, bytesOf(good(random, target, name, Buffer.from(write(hostileValue(random, 4))))));
};

const tables = { chat: chatParameters, messages: messagesParameters, responses: responsesParameters } as const;

const parameter: Maker = (random, target) => {
  const name = random.pick(Object.keys(tables) as (keyof typeof tables)[]);
  const field = random.pick(Object.keys(tables[name]));
  return withParameter(random, target, name, field, hostileValue(random, 3));
};

function withParameter(random: Random, target: Target, name: PartName, field: string, value: unknown): HostileCase {
  const body = { ...random.pick<object>(parts[name].bodies), [field]: value };
  return ofPart('parameter', name, bytesOf(good(random, target, name, Buffer.from(write(body)))));
}

/** Every parameter of every dialect with a value of every kind. */
export function* sweep(random: Random, target: Target): Generator<HostileCase> {
  for (const name of ['chat', 'messages', 'count', 'responses'] as const) {
    const table = tables[name === 'count' ? 'messages' : name];
    for (const field of Object.keys(table)) {
      for (const value of wrongValues) yield withParameter(random, target, name, field, value);
    }
  }
}

const methods = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE', 'PROPFIND', 'M-SEARCH'];
const paths: readonly ((target: Target) => string)[] = [
  () => '/',
  () => '*',
  () => '//',
  () => '/v1',
  () => '/v1/',
  () => '/v1//models',
  () => '/v1/models/',
  () => '/v1/models/seedling',
  () => '/V1/MODELS',
  () => '/v1/../v1/models',
  () => '/v1/%2e%2e/models',
  () => '/v1/models%00',
  () => '/v1/models;x=1',
  () => '/v1/models?x=%ff&__proto__[a]=1#z',
  () => '/v1/responses/resp_x',
  () => '/v1/espalier/sessions/',
  () => '/v1/espalier/sessions/nobody/cancel',
  () => '/v1/espalier/sessions/__proto__/finish',
  () => '/v1/espalier/metrics/../sessions',
  () => '/s//v1/models',
  () => '/s/nobody/v1/chat/completions',
  () => '/s/constructor/v1/models',
  () => '/s/../v1/models',
  ({ session }) => `/s/${session}/v1/espalier/sessions`,
  ({ session }) => `/s/${session}/../${session}/v1/models`,
  ({ session }) => `/s/${session}%2f/v1/models`,
  ({ port }) => `http://127.0.0.1:${port}/v1/models`,
  () => 'http://evil.example/v1/models',
  () => `/v1/${'a'.repeat(9000)}`,
  () => `/v1/${'../'.repeat(2000)}etc/passwd`,
];

const address: Maker = (random, target) => {
  const name = random.pick(partNames);
  const request = good(random, target, name);
  const method = random.pick([request.method, random.pick(methods)]);
  const key = random.pick([target.apiKey, target.adminKey, '', 'esp-wrong', 'x'.repeat(4000), '\xff\xfe']);
  const strange = {
    ...request,
    method,
    path: random.chance(0.6) ? random.pick(paths)(target) : request.path,
    headers: random.chance(0.5)
      ? [
          request.headers[0] as string,
          `${random.pick(['authorization: Bearer', 'x-api-key:', 'x-goog-api-key:'])} ${key}`,
        ]
      : request.headers,
  };
  const bodiless = method === 'HEAD';
  return {
    kind: 'address',
    sending: { ...wait(bytesOf(strange)), bodiless },
    errors: 'any',
    turns: turnsOf(name),
  };
};

const headerLines: readonly ((random: Random) => string)[] = [
  (random) => `x-big: ${'h'.repeat(random.below(60_000))}`,
  (random) => Array.from({ length: random.below(3000) }, (_, i) => `x-${i}: ${i}`).join('\r\n'),
  () => 'host: evil.example',
  () => 'host: 127.0.0.1:1\r\nhost: 127.0.0.1:2',
  () => 'host:',
  () => 'origin: http://evil.example',
  () => 'origin: null',
  () => 'origin: \xff',
  () => 'expect: 100-continue',
  () => 'expect: the-impossible',
  () => 'connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x',
  () => 'connection: close',
  () => 'content-encoding: gzip',
  () => 'content-type: text/html; charset=utf-7',
  () => 'x-stainless-retry-count: NaN',
  () => 'x-stainless-retry-count: 1e999',
  () => 'no colon',
  () => ': no name',
  () => 'x y: space in the name',
  () => 'x-null: a\0b',
  () => 'x-cr: a\rb',
  () => 'x-lf: a\nb: c',
  () => ' folded: line',
  () => 'x-latin: \xe9\xff',
  () => 'content-length: 5',
  () => 'content-length: -1',
  () => 'content-length: 18446744073709551617',
  () => 'content-length: 0x10',
  () => 'transfer-encoding: chunked',
  () => 'transfer-encoding: identity',
  () => 'transfer-encoding: chunked, chunked',
  () => '__proto__: x',
];

const header: Maker = (random, target) => {
  const name = random.pick(partNames);
  const request = good(random, target, name);
  const lines = [...request.headers, random.pick(headerLines)(random)];
  const headers = random.chance(0.2) ? lines.slice(1) : random.shuffled(lines);
  // What is left of the body may be taken for a second request, or waited for: our half is closed.
  return {
    kind: 'header',
    sending: { pieces: [bytesOf({ ...request, headers })], after: 'half-close', answers: 1 },
    errors: 'any',
    turns: turnsOf(name) * 2,
  };
};

const chunkTexts: readonly string[] = [
  ...[
    '',
    '0\r\n\r\n',
    '5\r\nabc',
    'ffffffffffffffff\r\n',
    'fffffffff\r\nx',
    '-1\r\nx\r\n',
    'g\r\n',
    '5;a=b\r\n{"a":\r\n',
  ],
  ...[
    `5;${'x'.repeat(20_000)}\r\n{"a":\r\n`,
    '1\r\n{\r\n0\r\nx-trailer: 1\r\n\r\n',
    '2\n{}\n0\n\n',
    '2\r\n{}0\r\n\r\n',
  ],
  ...['00000000000000000002\r\n{}\r\n0\r\n\r\n', '2\r\n{}\r\n0\r\nhost: evil\r\n\r\n', ' 2\r\n{}\r\n0\r\n\r\n'],
];
const starts: readonly string[] = [
  ...[
    '',
    '\r\n\r\n',
    '\0\0\0\0',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'GET / HTTP/0.9\r\n\r\n',
    'GET\r\n\r\n',
  ],
  ...[
    'GET / HTTP/9.9\r\n\r\n',
    'get / http/1.1\r\n\r\n',
    'GET /\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'GET  /  HTTP/1.1\r\n\r\n',
  ],
  ...['CONNECT evil.example:80 HTTP/1.1\r\nhost: x\r\n\r\n', 'GET / HTTP/1.1\r\n\r\n', 'GET / HTTP/1.0\r\n\r\n'],
  ...[
    'POST /v1/messages HTTP/1.1\r\nhost 127.0.0.1\r\n\r\n',
    'GET \xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n',
    `${'A'.repeat(70_000)}`,
  ],
];

const framing: Maker = (random, target) => {
  const name = random.pick(withBody);
  const request = good(random, target, name);
  const size = (request.body as Buffer).length;
  const lied = random.pick([
    size + 1 + random.below(50),
    Math.max(0, size - 1 - random.below(size)),
    70 << 20,
    2 ** 53,
  ]);
  const texts: readonly (() => string)[] = [
    () => random.pick(starts),
    () => head(request, 'transfer-encoding: chunked') + random.pick(chunkTexts),
    () => head(request, `content-length: ${size}\r\ntransfer-encoding: chunked`) + random.pick(chunkTexts),
    () => head(request, `content-length: ${lied}`) + (request.body as Buffer).toString('latin1'),
    () => hostileText(random),
  ];
  const pieces = cut(random, Buffer.from(random.pick(texts)(), 'latin1'));
  return {
    kind: 'framing',
    sending: { pieces, after: 'half-close', answers: 1 },
    errors: 'any',
    turns: turnsOf(name) * 2,
  };
};

const head = ({ method, path, headers }: Request, more: string): string =>
  [`${method} ${path} HTTP/1.1`, ...headers, more, '', ''].join('\r\n');

function cut(random: Random, bytes: Buffer): Buffer[] {
  if (random.chance(0.7)) return [bytes];
  const at = random.below(bytes.length + 1);
  return [bytes.subarray(0, at), bytes.subarray(at)];
}

const pipelined: Maker = (random, target) => {
  const names = Array.from({ length: 2 + random.below(5) }, () => random.pick(partNames));
  const requests = names.map((name) =>
    bytesOf(good(random, target, name, random.chance(0.3) ? Buffer.from('{') : null)),
  );
  return {
    kind: 'pipelined',
    sending: { pieces: cut(random, Buffer.concat(requests)), after: 'wait', answers: names.length },
    errors: 'any',
    turns: names.reduce((sum, name) => sum + turnsOf(name), 0),
  };
};

const leaves: Maker = (random, target) => {
  const name = random.pick(partNames);
  const bytes = bytesOf(good(random, target, name));
  const shared = { kind: 'client leaves', errors: 'any', turns: turnsOf(name) } as const;
  if (random.chance(0.5)) {
    const leaveAfterBytes = random.below(1500);
    return { ...shared, sending: { ...wait(bytes), leaveAfterBytes } };
  }
  const pieces = cut(random, bytes.subarray(0, random.below(bytes.length + 1)));
  return { ...shared, sending: { pieces, after: random.pick(['leave', 'reset', 'half-close'] as const), answers: 0 } };
};

const makers: readonly (readonly [number, Maker])[] = [
  [30, damagedJson],
  [15, damagedBytes],
  [5, anyJson],
  [20, parameter],
  [8, address],
  [6, header],
  [8, framing],
  [4, pipelined],
  [4, leaves],
];
const total = makers.reduce((sum, [weight]) => sum + weight, 0);

export function hostileCase(random: Random, target: Target): HostileCase {
  let at = random.below(total);
  for (const [weight, make] of makers) {
    if (at < weight) return make(random, target);
    at -= weight;
  }
  throw new RangeError('the weights are fewer than their sum');
}

/** A body that is large in one way, sent as it should be. */
export function heavyCase(random: Random, target: Target, { what, part, body }: HeavyRequest): HostileCase {
  return ofPart(`heavy: ${what}`, part, bytesOf(good(random, target, part, Buffer.from(body))));
}

/** What any agent might ask, and what must come back. */
export function controlCase(target: Target): HostileCase {
  const body = Buffer.from(write({ model: 'seedling', messages: [{ role: 'user', content: 'Are you well?' }] }));
  const headers = [`host: 127.0.0.1:${target.port}`, `authorization: Bearer ${target.apiKey}`];
  const request = { method: 'POST', path: `/s/${target.session}/v1/chat/completions`, headers, body };
  return { kind: 'control', sending: wait(bytesOf(request)), errors: 'openai', turns: 1 };
}
