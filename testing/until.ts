import { setTimeout as sleep } from 'node:timers/promises';

import { messageOf } from '../common/errors.ts';

export interface UntilOptions {
  timeoutMs?: number;
  intervalMs?: number;
}

/**
 * Asks until the answer is truthy, and returns it.
 *
 * @throws Error naming `what`, with the last answer or error, after the time-out
 */
export async function until<T>(
  what: string,
  ask: () => T | Promise<T>,
  { timeoutMs = 30_000, intervalMs = 250 }: UntilOptions = {},
): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs;
  let last = 'nothing yet';
  for (;;) {
    try {
      const answer = await ask();
      if (answer) return answer;
      last = answer === undefined ? 'undefined' : JSON.stringify(answer);
    } catch (error) {
      last = messageOf(error);
    }
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}; last: ${last}`);
    await sleep(intervalMs);
  }
}
