/**
 * The one error catalogue. An error crosses HTTP and WebSocket as its code; the status and whether a retry can help
 * belong to the code, so that no two services answer the same failure differently.
 */
export const errorCatalogue = {
  invalid_request: { status: 400, retryable: false },
  missing_token: { status: 401, retryable: false },
  invalid_token: { status: 401, retryable: false },
  forbidden: { status: 403, retryable: false },
  origin_not_allowed: { status: 403, retryable: false },
  subprotocol_required: { status: 403, retryable: false },
  not_found: { status: 404, retryable: false },
  room_not_found: { status: 404, retryable: false },
  router_not_found: { status: 404, retryable: false },
  peer_not_found: { status: 404, retryable: false },
  transport_not_found: { status: 404, retryable: false },
  producer_not_found: { status: 404, retryable: false },
  consumer_not_found: { status: 404, retryable: false },
  method_not_allowed: { status: 405, retryable: false },
  conflict: { status: 409, retryable: true },
  already_connected: { status: 409, retryable: false },
  not_joined: { status: 409, retryable: false },
  already_joined: { status: 409, retryable: false },
  cannot_consume: { status: 409, retryable: false },
  instance_mismatch: { status: 409, retryable: true },
  payload_too_large: { status: 413, retryable: false },
  unsupported_method: { status: 422, retryable: false },
  rate_limited: { status: 429, retryable: true },
  room_full: { status: 429, retryable: true },
  too_many_connections: { status: 429, retryable: true },
  quota_exceeded: { status: 429, retryable: true },
  too_many_transports: { status: 409, retryable: false },
  capacity_exhausted: { status: 503, retryable: true },
  internal: { status: 500, retryable: false },
  far_side_failed: { status: 502, retryable: true },
  store_unavailable: { status: 503, retryable: true },
  kubernetes_unavailable: { status: 503, retryable: true },
  node_unavailable: { status: 503, retryable: true },
  node_draining: { status: 503, retryable: true },
  room_not_ready: { status: 503, retryable: true },
  timed_out: { status: 504, retryable: true },
} as const satisfies Record<string, { status: number; retryable: boolean }>;

export type ErrorCode = keyof typeof errorCatalogue;

export const isErrorCode = (value: unknown): value is ErrorCode =>
  typeof value === 'string' && Object.hasOwn(errorCatalogue, value);

/** One field of the input that was refused, e.g. `rtpParameters.codecs[0].mimeType`. */
export interface FieldIssue {
  field: string;
  message: string;
}

/** How an {@link ApiError} looks in an HTTP response body. */
export interface ErrorBody {
  error: { code: ErrorCode; message: string; fields?: FieldIssue[] };
}

interface ApiErrorOptions {
  cause?: unknown;
  fields?: FieldIssue[];
}

/** An error with a code of the catalogue: what a service answers with, and what the typed clients throw. */
export class ApiError extends Error {
  readonly code: ErrorCode;
  readonly fields: FieldIssue[] | undefined;

  constructor(code: ErrorCode, message: string, options: ApiErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ApiError';
    this.code = code;
    this.fields = options.fields;
  }

  get status(): number {
    return errorCatalogue[this.code].status;
  }

  /** Whether the same call may succeed later. */
  get retryable(): boolean {
    return errorCatalogue[this.code].retryable;
  }

  toBody(): ErrorBody {
    return {
      error: {
        code: this.code,
        message: this.message,
        ...(this.fields ? { fields: this.fields } : {}),
      },
    };
  }
}

export const isApiError = (error: unknown, ...codes: ErrorCode[]): error is ApiError =>
  error instanceof ApiError && (codes.length === 0 || codes.includes(error.code));

export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/** Closes a `switch` over a union: a new member that nobody handles fails to compile. */
export function assertUnreachable(value: never): never {
  throw new Error(`unexpected value: ${JSON.stringify(value)}`);
}
