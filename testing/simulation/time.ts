import { FakeClock, settle } from '../fake-clock.ts';
import { createRandom } from '../random.ts';

/**
 * Time and chance of the schedule that runs. Code under test that reads the system's clock, timers or random numbers gets
 * these: in a file of tests that has called {@link simulate}, there is no other time.
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
