import { describe, expect, it } from '@jest/globals';

import { retryDelay } from './retry.ts';

const policy = { tries: 10, minDelayMs: 1000, maxDelayMs: 8000, jitter: 0.25, stableAfterMs: 0 };
const tries = Array.from({ length: policy.tries }, (_, index) => index + 1);

describe('retryDelay', () => {
  it('doubles from one second up to eight', () => {
    expect(tries.map((attempt) => retryDelay(attempt, policy, 0))).toEqual([
      1000, 2000, 4000, 8000, 8000, 8000, 8000, 8000, 8000, 8000,
    ]);
  });

  it('spreads peers out without leaving the bounds', () => {
    for (const attempt of tries) {
      const delay = retryDelay(attempt, policy, 1);
      expect(delay).toBeGreaterThanOrEqual(retryDelay(attempt, policy, 0));
      expect(delay).toBeLessThanOrEqual(policy.maxDelayMs);
    }
  });
});
