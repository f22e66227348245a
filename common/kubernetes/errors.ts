import { ApiError, type ErrorCode, type FieldIssue } from '../errors.ts';

/** The body of a refusal, `kind: Status`. */
export interface StatusBody {
  code?: number;
  reason?: string;
  message?: string;
  details?: { causes?: { field?: string; message?: string }[]; retryAfterSeconds?: number };
}

const codes: Record<number, ErrorCode> = {
  400: 'invalid_request',
  401: 'forbidden',
  403: 'forbidden',
  404: 'not_found',
  409: 'conflict',
  413: 'payload_too_large',
  422: 'invalid_request',
  429: 'rate_limited',
  504: 'timed_out',
};

const fieldsOf = ({ details }: StatusBody): FieldIssue[] =>
  (details?.causes ?? []).flatMap(({ field, message }) =>
    field && message ? [{ field, message }] : [],
  );

/** A refusal of the API server, with its HTTP status and Kubernetes' reason. */
export class KubernetesError extends ApiError {
  readonly statusCode: number;
  /** Kubernetes' word for the cause, such as `AlreadyExists` or `Expired`. */
  readonly reason: string;

  constructor(statusCode: number, body: StatusBody, what: string) {
    const fields = fieldsOf(body);
    super(
      codes[statusCode] ?? 'kubernetes_unavailable',
      `${what}: ${body.message ?? `the Kubernetes API answered ${statusCode}`}`,
      fields.length > 0 ? { fields } : {},
    );
    this.statusCode = statusCode;
    this.reason = body.reason ?? '';
  }
}

export const isAlreadyExists = (error: unknown): boolean =>
  error instanceof KubernetesError && error.reason === 'AlreadyExists';

/** The API server no longer has the history, or the page, that was asked for. */
export const isExpired = (error: unknown): boolean =>
  error instanceof KubernetesError && error.statusCode === 410;
