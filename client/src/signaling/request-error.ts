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

/** Statuses that say that the request itself is not accepted, rather than that what it is about is gone or fails. */
const REFUSED = new Set([400, 401, 403, 413, 422, 429]);

/** Whether it would be refused anywhere: by the server, or by the browser before it was asked. */
export const isRefusal = (error: unknown): boolean =>
  !(error instanceof RequestError) || (error.code !== undefined && REFUSED.has(error.code));

export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

export const asError = (error: unknown): Error =>
  error instanceof Error ? error : new Error(String(error));
