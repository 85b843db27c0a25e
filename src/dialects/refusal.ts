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
    super(message, { cause: options.cause });
    this.name = 'Refusal';
    this.status = status;
    this.type = options.type ?? (status >= 500 ? 'server_error' : 'invalid_request_error');
    this.param = options.param ?? null;
    this.code = options.code ?? null;
  }
}
