/** How something that failed is tried again. Times are in milliseconds. */
export interface RetryPolicy {
  /** Tries after a failure before it is given up. */
  tries: number;
  minDelayMs: number;
  maxDelayMs: number;
  /** The share of a delay that is left to chance, so that a room full of peers does not come back in one instant. */
  jitter: number;
  /** A connection that lasted this long makes the next loss a first one again. */
  stableAfterMs: number;
}

/**
 * The pause before a try: doubled each time, within the policy's bounds.
 *
 * @param attempt - 1 for the first try
 * @param random - between 0 and 1
 */
export function retryDelay(attempt: number, policy: RetryPolicy, random: number): number {
  const doubled = policy.minDelayMs * 2 ** (attempt - 1);
  return Math.round(Math.min(policy.maxDelayMs, doubled * (1 + policy.jitter * random)));
}
