/** How a lost connection is tried again. Times are in milliseconds. */
export interface RetryPolicy {
  /** Tries after a loss before it is given up. */
  tries: number;
  minDelayMs: number;
  maxDelayMs: number;
  /** A connection that lasted this long makes the next loss a first one again. */
  stableAfterMs: number;
}

export const defaultRetryPolicy: RetryPolicy = {
  tries: 10,
  minDelayMs: 1000,
  maxDelayMs: 8000,
  stableAfterMs: 5000,
};

/** The share of a delay that is left to chance, so that a room full of peers does not come back in one instant. */
const SPREAD = 0.25;

/**
 * The pause before a try: doubled each time, within the policy's bounds.
 *
 * @param attempt - 1 for the first try
 * @param random - between 0 and 1
 */
export function retryDelay(attempt: number, policy: RetryPolicy, random: number): number {
  const doubled = policy.minDelayMs * 2 ** (attempt - 1);
  return Math.round(Math.min(policy.maxDelayMs, doubled * (1 + SPREAD * random)));
}
