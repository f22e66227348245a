/**
 * A request that got no ok. `code` is the server's (an HTTP status), or `undefined` where no answer came: the time ran
 * out or the connection was lost.
 */
export class RequestError extends Error {
  readonly method: string;
  readonly code: number | undefined;

  constructor(method: string, message: string, code?: number) {
    super(message);
    this.name = 'RequestError';
    this.method = method;
    this.code = code;
  }
}

/** Statuses of the platform's error catalogue after which the same request may succeed later. */
const RETRYABLE = new Set([429, 502, 503, 504]);

/** Whether trying again can help: the server was busy or did not answer at all. */
export const isRetryable = (error: unknown): boolean =>
  error instanceof RequestError && (error.code === undefined || RETRYABLE.has(error.code));
