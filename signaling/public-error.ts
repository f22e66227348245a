import { ApiError, messageOf, type ErrorCode } from '../common/errors.ts';
import type { Logger } from '../common/service/logger.ts';

/** What clients read where the cause is of no use to them and names statements, addresses or routes. */
const publicTexts: Partial<Record<ErrorCode, string>> = {
  internal: 'internal error; the log has the details',
  store_unavailable: 'the tables are not available now',
  node_unavailable: 'a media node can not be reached now',
  far_side_failed: 'another service failed',
  timed_out: 'another service did not answer in time',
};

/** An error as clients may see it: the code is the same, the details go to the log. */
export function toPublicError(error: ApiError, logger: Logger): ApiError {
  const text = publicTexts[error.code];
  if (error.cause !== undefined || text !== undefined)
    logger.info(
      { code: error.code, reason: error.message, cause: messageOf(error.cause) },
      'details of an error that a client was told',
    );
  return text === undefined ? error : new ApiError(error.code, text, { cause: error });
}
