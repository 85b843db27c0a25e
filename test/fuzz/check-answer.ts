/** What may come back from the proxy, whatever was sent: a reply of its dialect, or its error with a status of 4xx. */
import { z } from 'zod';
import type { Answer } from './http-client.ts';
import type { HostileCase } from './request-cases.ts';

const openaiError = z.strictObject({
  error: z.strictObject({
    message: z.string().min(1),
    type: z.string().min(1),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
});
const anthropicError = z.strictObject({
  type: z.literal('error'),
  error: z.strictObject({ type: z.string().min(1), message: z.string().min(1) }),
});
const errors = { openai: openaiError, anthropic: anthropicError, any: z.union([openaiError, anthropicError]) };

const served = z.union([
  z.object({ object: z.literal('chat.completion'), choices: z.array(z.unknown()).length(1) }),
  z.object({ type: z.literal('message'), content: z.array(z.unknown()), stop_reason: z.string() }),
  z.object({ object: z.literal('response'), status: z.enum(['completed', 'incomplete']) }),
  z.object({ input_tokens: z.int().positive() }),
  z.object({ object: z.literal('list') }),
  z.object({ data: z.array(z.unknown()), has_more: z.boolean() }),
  z.object({ id: z.string(), baseUrl: z.string(), apiKey: z.string() }),
  z.object({ id: z.string(), outcome: z.unknown() }),
]);

const lastEvents = [
  'data: [DONE]\n\n',
  'event: message_stop\n',
  'event: response.completed\n',
  'event: response.incomplete\n',
];

/** What is wrong with the answer, or null. */
export function faultOf({ errors: form }: HostileCase, answer: Answer, bodiless: boolean): string | null {
  const { status, headers, body } = answer;
  const type = headers.get('content-type') ?? '';
  if (headers.has('set-cookie') || headers.has('x-injected')) return 'a header of the request is in the answer';
  if (status >= 200 && status < 300) {
    if (bodiless || type.startsWith('text/plain')) return null;
    if (type.startsWith('text/event-stream')) {
      const last = body.split('\n\n').at(-2) ?? '';
      return lastEvents.some((event) => `${last}\n\n`.startsWith(event)) ? null : `a stream that ends with ${last}`;
    }
    return shapeFault(served, body);
  }
  if (status < 400 || status > 499) return `status ${status}`;
  if (!type.startsWith('application/json')) return `an error ${status} of type '${type}'`;
  if (bodiless) return null;
  return shapeFault(errors[form], body);
}

function shapeFault(schema: z.ZodType, body: string): string | null {
  try {
    const result = schema.safeParse(JSON.parse(body));
    return result.success ? null : `not a body of this API: ${body.slice(0, 300)}`;
  } catch {
    return `not JSON: ${body.slice(0, 300)}`;
  }
}

/** An answer that a turn was made durable for. */
export function isTurn({ status, headers, body }: Answer): boolean {
  if (status !== 200) return false;
  const type = headers.get('content-type') ?? '';
  return type.startsWith('text/event-stream') || /"(?:chat\.completion|message|response)"/.test(body.slice(0, 400));
}
