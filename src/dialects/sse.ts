/** Server-sent events, the writing side. One event is one JSON value; comments keep idle connections open. */
export const sseHeaders: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
};

/** JSON holds no line breaks, so an event is one `data` line. */
export const sseEvent = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;
export const sseDone = 'data: [DONE]\n\n';
export const sseKeepAlive = ': keep-alive\n\n';
