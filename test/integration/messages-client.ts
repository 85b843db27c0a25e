/** A client of `/v1/messages` over fetch: event streams are put together as @anthropic-ai/sdk does. */

export interface ContentBlock {
  readonly type: string;
  readonly text?: string;
  readonly thinking?: string;
  readonly signature?: string;
  readonly id?: string;
  readonly name?: string;
  readonly input?: unknown;
}

export interface MessageReply {
  readonly id: string;
  readonly type: string;
  readonly role: string;
  readonly model: string;
  readonly content: ContentBlock[];
  readonly stop_reason: string | null;
  readonly stop_sequence: string | null;
  readonly usage: Readonly<Record<string, number>>;
}

export interface StreamEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The events of a stream; each must carry its type as its name. */
export function eventsOf(stream: string): StreamEvent[] {
  const parts = stream.split('\n\n');
  if (parts.pop() !== '') throw new Error('the stream ends within an event');
  return parts.map((part) => {
    const [name, data, ...rest] = part.split('\n');
    const event = JSON.parse(String(data).replace(/^data: /, '')) as StreamEvent;
    if (name !== `event: ${event.type}` || rest.length > 0) throw new Error(`not an event of this API: ${part}`);
    return event;
  });
}

/** Throws when the events are out of order or end early. */
export function accumulated(events: readonly StreamEvent[]): MessageReply {
  let message: Mutable<MessageReply> | null = null;
  let open: Mutable<ContentBlock> | null = null;
  let json = '';
  let stopped = false;
  for (const event of events) {
    if (event.type === 'ping') continue;
    if (event.type === 'error') throw new Error(JSON.stringify(event['error']));
    if (event.type === 'message_start') {
      if (message !== null) throw new Error('a second message_start');
      message = structuredClone(event['message']) as MessageReply;
      continue;
    }
    if (message === null || stopped) throw new Error(`${event.type} outside of a message`);
    const at: number = message.content.length - (open === null ? 0 : 1);
    if (event.type.startsWith('content_block') && event['index'] !== at) throw new Error(`block ${event['index']}`);
    switch (event.type) {
      case 'content_block_start':
        if (open !== null) throw new Error('a block within a block');
        open = structuredClone(event['content_block']) as ContentBlock;
        message.content.push(open);
        json = '';
        break;
      case 'content_block_delta': {
        if (open === null) throw new Error('a delta without its block');
        const delta = event['delta'] as Readonly<Record<string, string>> & { readonly type: string };
        if (delta.type === 'text_delta') open.text += delta['text'] as string;
        else if (delta.type === 'thinking_delta') open.thinking += delta['thinking'] as string;
        else if (delta.type === 'signature_delta') open.signature = delta['signature'] as string;
        else if (delta.type === 'input_json_delta') json += delta['partial_json'] as string;
        else throw new Error(`delta of type ${delta.type}`);
        break;
      }
      case 'content_block_stop':
        if (open?.type === 'tool_use') open.input = JSON.parse(json);
        open = null;
        break;
      case 'message_delta':
        Object.assign(message, event['delta']);
        message.usage = { ...message.usage, ...(event['usage'] as Record<string, number>) };
        break;
      case 'message_stop':
        stopped = true;
        break;
      default:
        throw new Error(`event of type ${event.type}`);
    }
  }
  if (message === null || open !== null || !stopped) throw new Error('the stream ended early');
  return message;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** Posts to `<base>/messages...`, as an SDK with `base` as its address would. */
export async function post(
  session: { readonly baseUrl: string; readonly apiKey: string },
  path: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const reply = await fetch(`${session.baseUrl}${path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-api-key': session.apiKey,
      'anthropic-version': '2023-06-01',
      'anthropic-beta': 'interleaved-thinking-2025-05-14',
      ...headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: reply.status, headers: reply.headers, text: await reply.text() };
}

/** Throws when the answer is an error. */
export async function createMessage(
  session: { readonly baseUrl: string; readonly apiKey: string },
  body: { readonly stream?: boolean; readonly [field: string]: unknown },
): Promise<MessageReply> {
  const { status, text } = await post(session, '/messages?beta=true', body);
  if (status !== 200) throw new Error(`${status} ${text}`);
  return body.stream === true ? accumulated(eventsOf(text)) : (JSON.parse(text) as MessageReply);
}
