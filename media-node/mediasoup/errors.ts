import { errors } from 'mediasoup';

import { ApiError, isApiError, messageOf } from '../../common/errors.ts';

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

/**
 * Makes something on a transport. mediasoup does not look whether the transport was closed while its worker was at it:
 * what it gives then would stay open for good.
 *
 * @throws {ApiError} `transport_not_found` when the transport was closed meanwhile
 */
export async function makeOn<T extends { close(): void }>(
  transport: { readonly closed: boolean },
  what: string,
  make: () => Promise<T>,
): Promise<T> {
  const gone = (cause?: unknown): ApiError =>
    new ApiError('transport_not_found', `${what}: the transport was closed`, { cause });
  let made: T;
  try {
    made = await askMediasoup(what, make);
  } catch (error) {
    throw transport.closed && !isApiError(error, 'node_unavailable') ? gone(error) : error;
  }
  if (!transport.closed) return made;
  made.close();
  throw gone();
}
