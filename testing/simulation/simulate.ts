import { jest } from '@jest/globals';

import { mediasoup } from './mediasoup.ts';
import { time } from './time.ts';

/** What `setTimeout` and `setInterval` return, as far as services use it. */
class Timer {
  readonly #cancel: () => void;

  constructor(cancel: () => void) {
    this.#cancel = cancel;
  }

  unref(): this {
    return this;
  }

  cancel(): void {
    this.#cancel();
  }
}

const later = (work: () => void, ms = 0): Timer => new Timer(time.schedule(Math.max(0, ms), work));

function repeat(work: () => void, ms: number): Timer {
  let cancel: () => void = () => undefined;
  const next = (): void => {
    cancel = time.schedule(ms, () => {
      next();
      work();
    });
  };
  next();
  return new Timer(() => cancel());
}

const clear = (timer: unknown): void => {
  if (timer instanceof Timer) timer.cancel();
};

/** `setTimeout` of `node:timers/promises`. */
const sleep = <T>(
  ms?: number,
  value?: T,
  { signal }: { signal?: AbortSignal } = {},
): Promise<T | undefined> =>
  new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const timer = later(() => resolve(value), ms);
    const abort = (): void => {
      timer.cancel();
      reject(signal?.reason as Error);
    };
    signal?.addEventListener('abort', abort, { once: true });
  });

/**
 * Puts simulated time and a simulated mediasoup in the place of the real ones, for this file of tests. Code under test must
 * be imported afterwards.
 */
export function simulate(): void {
  Object.assign(globalThis, {
    ...{ setTimeout: later, clearTimeout: clear },
    ...{ setInterval: repeat, clearInterval: clear },
  });
  Date.now = time.now;
  Math.random = time.random;
  jest.unstable_mockModule('node:timers/promises', () => ({ setTimeout: sleep }));
  jest.unstable_mockModule('mediasoup', () => mediasoup);
}
