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

/** The API server's name for no field: of the note that its rules were not tried on an object of a wrong shape. */
const noField = '<nil>';

const fieldsOf = ({ details }: StatusBody): FieldIssue[] =>
  (details?.causes ?? []).flatMap(({ field, message }) =>
    field && field !== noField && message ? [{ field, message }] : [],
  );

/** A refusal of the API server, with its HTTP status and Kubernetes' reason. */
export class KubernetesError extends ApiError {
  readonly statusCode: number;
  /** Kubernetes' word for the cause, such as `AlreadyExists` or `Expired`. */
  readonly reason: string;
  /** What the API server says, without the call. */
  readonly detail: string;

  constructor(statusCode: number, body: StatusBody, what: string) {
    const fields = fieldsOf(body);
    const detail = body.message ?? `the Kubernetes API answered ${statusCode}`;
    super(
      codes[statusCode] ?? 'kubernetes_unavailable',
      `${what}: ${detail}`,
      fields.length > 0 ? { fields } : {},
    );
    this.detail = detail;
    this.statusCode = statusCode;
    this.reason = body.reason ?? '';
  }
}

export const isAlreadyExists = (error: unknown): boolean =>
  error instanceof KubernetesError && error.reason === 'AlreadyExists';

/** Somebody else was faster: not at the name, but at an object that the request has to change, as a quota. */
export const isConflict = (error: unknown): error is KubernetesError =>
  error instanceof KubernetesError && error.statusCode === 409 && !isAlreadyExists(error);

/**
 * A ResourceQuota of the namespace is used up. Only the text tells this from a missing permission: both are `Forbidden`,
 * without a cause.
 */
export const isQuotaExceeded = (error: unknown): error is KubernetesError =>
  error instanceof KubernetesError &&
  error.statusCode === 403 &&
  error.detail.includes('exceeded quota: ');

/** The API server no longer has the history, or the page, that was asked for. */
export const isExpired = (error: unknown): boolean =>
  error instanceof KubernetesError && error.statusCode === 410;
