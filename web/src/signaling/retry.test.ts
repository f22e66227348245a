import { describe, expect, it } from '@jest/globals';

import { defaultRetryPolicy, retryDelay } from './retry.ts';

const tries = Array.from({ length: defaultRetryPolicy.tries }, (_, index) => index + 1);

describe('retryDelay', () => {
  it('doubles from one second up to eight', () => {
    expect(tries.map((attempt) => retryDelay(attempt, defaultRetryPolicy, 0))).toEqual([
      1000, 2000, 4000, 8000, 8000, 8000, 8000, 8000, 8000, 8000,
    ]);
  });

  it('spreads peers out without leaving the bounds', () => {
    for (const attempt of tries) {
      const delay = retryDelay(attempt, defaultRetryPolicy, 1);
      expect(delay).toBeGreaterThanOrEqual(retryDelay(attempt, defaultRetryPolicy, 0));
      expect(delay).toBeLessThanOrEqual(defaultRetryPolicy.maxDelayMs);
    }
  });
});
