import { describe, expect, it } from '@jest/globals';

import { ApiError } from '../../common/errors.ts';
import { missOf } from './missed-poll.ts';

/** As the HTTP client passes on what fetch threw. */
const failed = (code: string): Error =>
  new ApiError('node_unavailable', 'GET /status: failed', {
    cause: new TypeError('fetch failed', { cause: Object.assign(new Error(code), { code }) }),
  });
const circular = new Error('circular');
circular.cause = circular;

describe('missOf', () => {
  it.each([
    { name: 'a refused connection', error: failed('ECONNREFUSED'), want: 'Refused' },
    { name: 'a connection that was reset', error: failed('ECONNRESET'), want: 'Broken' },
    { name: 'one that was closed', error: failed('UND_ERR_SOCKET'), want: 'Broken' },
    { name: 'a host without a route', error: failed('EHOSTUNREACH'), want: 'Silent' },
    { name: 'a time-out', error: new ApiError('timed_out', 'no answer in time'), want: 'Silent' },
    { name: 'a refusal by the node itself', error: new ApiError('internal', ''), want: 'Silent' },
    { name: 'an error that is its own cause', error: circular, want: 'Silent' },
    { name: 'what is no error', error: null, want: 'Silent' },
  ])('takes $name for $want', ({ error, want }) => {
    expect(missOf(error)).toBe(want);
  });
});
