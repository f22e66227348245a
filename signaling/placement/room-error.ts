import { ApiError, type FieldIssue } from '../../common/errors.ts';
import {
  isAlreadyExists,
  isQuotaExceeded,
  KubernetesError,
} from '../../common/kubernetes/errors.ts';

/** Fields that the API server does not know are named in its text alone. */
const unknownFields = ({ detail }: KubernetesError): FieldIssue[] =>
  [...detail.matchAll(/(unknown|duplicate) field "([^"]+)"/g)].map(([, what = '', field = '']) => ({
    field,
    message: `${what} field`,
  }));

const toInvalid = (error: KubernetesError): ApiError => {
  const fields = error.fields ?? unknownFields(error);
  return new ApiError('invalid_request', `the room is refused: ${error.detail}`, {
    cause: error,
    ...(fields.length > 0 ? { fields } : {}),
  });
};

/** Whether the API server refused this service, and not what was asked for: a person has to mend that. */
export const isRefused = (error: unknown): error is KubernetesError =>
  error instanceof KubernetesError && [401, 403, 404, 405].includes(error.statusCode);

/**
 * What a failed call to the API server means to whoever asked for it. The caller's own mistakes keep their meaning; all
 * else is a room that can't be made ready now.
 */
export function toRoomError(error: unknown, room: string): ApiError {
  if (isQuotaExceeded(error))
    return new ApiError(
      'quota_exceeded',
      `room ${room} can not be made: the namespace’s quota of rooms is used up`,
      { cause: error },
    );
  if (isAlreadyExists(error))
    return new ApiError('conflict', `there is a room ${room} already`, { cause: error });
  if (error instanceof KubernetesError && [400, 422].includes(error.statusCode))
    return toInvalid(error);
  if (isRefused(error))
    return new ApiError(
      'room_not_ready',
      'the Kubernetes API refuses this service; its log has the details',
      { cause: error },
    );
  return new ApiError('room_not_ready', 'the Kubernetes API is not available', { cause: error });
}
