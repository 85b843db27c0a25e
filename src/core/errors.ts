/** The boundary that a failure crossed. Failures beyond `task` and `policy` are infrastructure: never a reward. */
export type Boundary = 'provider' | 'harness' | 'sandbox' | 'task' | 'store' | 'engine' | 'config' | 'checkpoint';

/**
 * A failure with the boundary it crossed, the values that disagreed, and the way out.
 *
 * `message` is one line that a user can act on, whatever names and values of files are in it; `cause` carries what was
 * thrown below.
 */
export class EspalierError extends Error {
  readonly boundary: Boundary;
  constructor(boundary: Boundary, message: string, options?: { readonly cause?: unknown }) {
    super(message.replace(controls, ' '), options);
    this.name = `${boundary[0]?.toUpperCase()}${boundary.slice(1)}Error`;
    this.boundary = boundary;
  }
}

/** They would break the line, or a terminal. */
const controls = /[\p{Cc}\u2028\u2029]+/gu;

/** The message of anything that can be thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

export function boundaryOf(thrown: unknown, otherwise: Boundary): Boundary {
  return thrown instanceof EspalierError ? thrown.boundary : otherwise;
}
