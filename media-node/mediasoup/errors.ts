import { errors } from 'mediasoup';

import { ApiError, messageOf } from '../../common/errors.ts';

/**
 * Runs a mediasoup call that acts on what a client or another service sent. mediasoup checks what the values mean: what
 * it refuses is the caller's mistake, and a worker that is gone is ours.
 *
 * @param what names the call in the message
 */
export async function askMediasoup<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ApiError) throw error;
    if (error instanceof errors.WorkerClosedError)
      throw new ApiError('node_unavailable', `${what}: the worker is gone`, { cause: error });
    if (error instanceof errors.NotFoundError)
      throw new ApiError('not_found', `${what}: ${error.message}`, { cause: error });
    throw new ApiError('invalid_request', `${what}: ${messageOf(error)}`, { cause: error });
  }
}
