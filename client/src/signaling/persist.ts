import { isRetryable } from './request-error.ts';
import { retryDelay, type RetryPolicy } from './retry.ts';

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/**
 * Does what may be repeated until the server could serve it.
 *
 * @param isWanted - asked before each further try
 * @throws the last error: one that is not retryable, after the last try, or when it is not wanted any more
 */
export async function persist<T>(
  task: () => Promise<T>,
  policy: RetryPolicy,
  isWanted: () => boolean,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await task();
    } catch (error) {
      if (!isRetryable(error) || attempt > policy.tries || !isWanted()) throw error;
    }
    await sleep(retryDelay(attempt, policy, Math.random()));
  }
}

/** Waits until something is so, looking now and again. Resolves with whether it became so in time. */
export async function until(
  isSo: () => boolean,
  { pollMs, timeoutMs }: { pollMs: number; timeoutMs: number },
): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  while (!isSo()) {
    if (performance.now() >= end) return false;
    await sleep(pollMs);
  }
  return true;
}
