import type { Clock } from './clock.ts';
import type { RuntimeMetrics } from './metrics.ts';

export interface Backoff {
  /** Delay after the first failure, in milliseconds; doubles each time. */
  initialMs: number;
  maxMs: number;
}

/** Greatest part of a delay that is left out at random. */
const jitterFactor = 0.2;

/**
 * The delay after so many failures before, in milliseconds. Many keys fail at once when what they all need is away: `random`,
 * from 0 to 1, spreads their return.
 */
export const backoffDelay = ({ initialMs, maxMs }: Backoff, failures: number, random = 0): number =>
  Math.min(maxMs, initialMs * 2 ** Math.min(failures, 30)) * (1 - jitterFactor * random);

export interface WorkQueueOptions {
  /** Label of the queue's metrics. */
  name: string;
  /** How many keys are worked on at a time; never one key twice at once. */
  concurrency: number;
  backoff: Backoff;
  /** Must not throw. */
  work: (key: string) => Promise<void>;
  metrics: RuntimeMetrics;
  clock: Clock;
  random?: () => number;
}

/**
 * A keyed work queue with the semantics of client-go's: a key that is queued already is not queued again; a key that is
 * added while it is worked on is worked on once more afterwards; of several delays the shortest counts.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  /** Waiting keys in order, with the time when each was added. */
  readonly #waiting = new Map<string, number>();
  readonly #active = new Map<string, number>();
  /** Added again while active. */
  readonly #dirty = new Set<string>();
  readonly #delayed = new Map<string, { at: number; cancel: () => void }>();
  readonly #failures = new Map<string, number>();
  #closed = false;
  #idle: (() => void)[] = [];

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    options.metrics.watchQueue(options.name, {
      depth: () => this.#waiting.size,
      delayed: () => this.#delayed.size,
      failing: () => this.#failures.size,
      activeSince: () => [...this.#active.values()],
    });
  }

  add(key: string): void {
    if (this.#closed) return;
    this.#cancelDelay(key);
    if (this.#waiting.has(key) || this.#dirty.has(key)) return;
    const { metrics, name, clock } = this.#options;
    metrics.queueAdds.inc({ name });
    if (this.#active.has(key)) {
      this.#dirty.add(key);
      return;
    }
    this.#waiting.set(key, clock.now());
    this.#fill();
  }

  /** Adds the key after `ms`, unless an earlier delay is running or it is added before. */
  addAfter(key: string, ms: number): void {
    if (this.#closed) return;
    if (ms <= 0) {
      this.add(key);
      return;
    }
    const at = this.#options.clock.now() + ms;
    const delayed = this.#delayed.get(key);
    if (delayed && delayed.at <= at) return;
    delayed?.cancel();
    const cancel = this.#options.clock.schedule(ms, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { at, cancel });
  }

  /** Whether the key has failed and waits for its time. */
  isBackingOff(key: string): boolean {
    return this.#failures.has(key) && this.#delayed.has(key);
  }

  /** Adds the key after a delay that doubles with each call until {@link forget}. */
  addRateLimited(key: string): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#options.metrics.queueRetries.inc({ name: this.#options.name });
    const { backoff, random = Math.random } = this.#options;
    this.addAfter(key, backoffDelay(backoff, failures, random()));
  }

  /** Ends the key's back-off. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Takes nothing more and resolves when what is being worked on has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    this.#waiting.clear();
    this.#dirty.clear();
    if (this.#active.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #cancelDelay(key: string): void {
    this.#delayed.get(key)?.cancel();
    this.#delayed.delete(key);
  }

  #fill(): void {
    while (this.#active.size < this.#options.concurrency) {
      const next = this.#waiting.entries().next();
      if (next.done) return;
      const [key, addedAt] = next.value;
      this.#waiting.delete(key);
      this.#start(key, addedAt);
    }
  }

  #start(key: string, addedAt: number): void {
    const { metrics, name, clock, work } = this.#options;
    const startedAt = clock.now();
    this.#active.set(key, startedAt);
    metrics.queueDuration.observe({ name }, (startedAt - addedAt) / 1000);
    void work(key).finally(() => {
      metrics.queueWorkDuration.observe({ name }, (clock.now() - startedAt) / 1000);
      this.#active.delete(key);
      if (this.#dirty.delete(key)) this.#waiting.set(key, clock.now());
      this.#fill();
      if (this.#active.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
    });
  }
}
