import type { Clock } from '../../operator/runtime/clock.ts';
import { time } from './time.ts';
import { toError } from './to-error.ts';

/**
 * A process of the simulation: whatever reaches code under test from outside, as an answer, a call or a timer, is delivered
 * by its process. One that was killed gets nothing more, so its code stands still for good; one that is stopped gets all of
 * it, in order, when it goes on.
 */
export class SimulatedProcess {
  readonly name: string;
  readonly #onEnd = new Set<() => void>();
  #waiting: (() => void)[] | undefined;
  #ended = false;

  constructor(name: string) {
    this.name = name;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get stopped(): boolean {
    return this.#waiting !== undefined;
  }

  deliver(work: () => void): void {
    if (this.#ended) return;
    if (this.#waiting) this.#waiting.push(work);
    else work();
  }

  /** As SIGKILL. */
  kill(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const work of this.#onEnd) work();
  }

  /** Calls back when the process is killed. */
  onEnd(work: () => void): void {
    this.#onEnd.add(work);
  }

  /** As SIGSTOP. */
  stop(): void {
    this.#waiting ??= [];
  }

  /** As SIGCONT. */
  resume(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const work of waiting) this.deliver(work);
  }

  /** A promise's outcome as this process learns of it. */
  async receive<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => this.deliver(() => resolve(value)),
        (error: unknown) => this.deliver(() => reject(toError(error))),
      );
    });
  }

  /** Time as this process has it. */
  readonly clock: Clock = {
    now: time.now,
    schedule: (ms, work) => {
      let cancelled = false;
      const run = (): void => {
        if (!cancelled) work();
      };
      const cancel = time.schedule(ms, () => this.deliver(run));
      return () => {
        cancelled = true;
        cancel();
      };
    },
  };
}
