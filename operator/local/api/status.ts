import { isApiError, messageOf, type FieldIssue } from '../../../common/errors.ts';
import { InvalidResourceError } from '../../../common/resources/validate.ts';

/** Kubernetes' error object. */
export interface Status {
  kind: 'Status';
  apiVersion: 'v1';
  metadata: object;
  status: 'Success' | 'Failure';
  message?: string;
  reason?: string;
  details?: { name?: string; group?: string; kind?: string; causes?: object[] };
  code: number;
}

/** A refusal with Kubernetes' reason and code. */
export class StatusError extends Error {
  readonly status: Status;

  constructor(code: number, reason: string, message: string, causes?: object[]) {
    super(message);
    this.status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      reason,
      ...(causes ? { details: { causes } } : {}),
      code,
    };
  }
}

export const success = (name: string, kind: string, uid: string): object => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Success',
  details: { name, group: 'kube-sfu.dev', kind, uid },
});

const toCause = ({ field, message }: FieldIssue): object => ({
  reason: message === 'is required' ? 'FieldValueRequired' : 'FieldValueInvalid',
  message,
  field,
});

function fromInvalidResource(error: InvalidResourceError): StatusError {
  const fields = error.fields ?? [];
  if (!error.unknownFields)
    return new StatusError(422, 'Invalid', error.message, fields.map(toCause));
  const unknown = fields.map(({ field }) => `unknown field "${field}"`).join(', ');
  return new StatusError(400, 'BadRequest', `strict decoding error: ${unknown}`);
}

/** Any failure as the API server would answer it; undefined when it is a fault of ours. */
export function toStatusError(error: unknown): StatusError | undefined {
  if (error instanceof StatusError) return error;
  if (error instanceof InvalidResourceError) return fromInvalidResource(error);
  if (isApiError(error, 'not_found')) return new StatusError(404, 'NotFound', error.message);
  if (isApiError(error, 'conflict')) return new StatusError(409, 'Conflict', error.message);
  if (isApiError(error, 'invalid_request'))
    return new StatusError(400, 'BadRequest', messageOf(error));
  return undefined;
}
