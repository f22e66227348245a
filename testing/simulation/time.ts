import { jest } from '@jest/globals';

import { FakeClock, settle } from '../fake-clock.ts';
import { createRandom } from '../random.ts';

/**
 * Time and chance of the schedule that runs. Code under test that reads the system's clock, timers or random numbers gets
 * these: in a file of tests that has called {@link installSimulatedTime}, there is no other time.
 */
class SimulatedTime {
  #clock = new FakeClock();
  #random = createRandom(1);

  /** Begins anew, for the next schedule. What still waits from the last one never runs. */
  begin(seed: number): void {
    this.#clock = new FakeClock();
    this.#random = createRandom(seed);
  }

  now = (): number => this.#clock.now();
  random = (): number => this.#random();
  schedule = (ms: number, work: () => void): (() => void) => this.#clock.schedule(ms, work);

  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number {
    return least + Math.floor(this.random() * (most - least + 1));
  }

  async advance(ms: number): Promise<void> {
    await this.#clock.advance(ms);
    await settle();
  }
}

export const time = new SimulatedTime();

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
 * Puts the simulated time in the place of the system's, for this file of tests. Modules that take `sleep` from Node must be
 * imported afterwards.
 */
export function installSimulatedTime(): void {
  Object.assign(globalThis, {
    ...{ setTimeout: later, clearTimeout: clear },
    ...{ setInterval: repeat, clearInterval: clear },
  });
  Date.now = time.now;
  Math.random = time.random;
  jest.unstable_mockModule('node:timers/promises', () => ({ setTimeout: sleep }));
}
