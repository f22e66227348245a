import { describe, expect, it } from '@jest/globals';

import { isRetryable, RequestError } from './request-error.ts';

describe('isRetryable', () => {
  it.each([429, 502, 503, 504])('holds for a server that answers %i', (code) => {
    expect(isRetryable(new RequestError('join', 'busy', code))).toBe(true);
  });

  it('holds where no answer came', () => {
    expect(isRetryable(new RequestError('join', 'no answer in time'))).toBe(true);
  });

  it.each([400, 401, 403, 404, 409, 500])('does not hold for an answer of %i', (code) => {
    expect(isRetryable(new RequestError('join', 'no', code))).toBe(false);
  });

  it('does not hold for an error of the page itself', () => {
    expect(isRetryable(new TypeError('track ended'))).toBe(false);
  });
});
