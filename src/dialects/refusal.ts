/** A request that is answered with an error: the dialect writes it in its own form. */
export class Refusal extends Error {
  readonly status: number;
  readonly type: string;
  /** The request field that is at fault, e.g. `messages[0].role`. */
  readonly param: string | null;
  readonly code: string | null;

  constructor(
    status: number,
    message: string,
    options: { readonly type?: string; readonly param?: string; readonly code?: string; readonly cause?: unknown } = {},
  ) {
    super(shortened(message, 2000), { cause: options.cause });
    this.name = 'Refusal';
    this.status = status;
    this.type = options.type ?? (status >= 500 ? 'server_error' : 'invalid_request_error');
    this.param = options.param === undefined ? null : shortened(options.param, 200);
    this.code = options.code ?? null;
  }
}

/** Names and values of a request are in its errors; they may be as long as its body. */
function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most)}...`;
}
