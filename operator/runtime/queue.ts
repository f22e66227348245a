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

function firstOf(keys: Iterable<string>): string | undefined {
  for (const key of keys) return key;
  return undefined;
}

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

/** Urgent keys are worked on before all others. */
export type Urgency = 'Usual' | 'Urgent';

/**
 * A keyed work queue with the semantics of client-go's: a key that is queued already is not queued again; a key that is
 * added while it is worked on is worked on once more afterwards; of several delays the shortest counts. What is urgent goes
 * first.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  /** Waiting keys in order, with the time when each was added. */
  readonly #waiting = new Map<string, number>();
  /** Those of them that are urgent, in order. */
  readonly #urgent = new Set<string>();
  readonly #active = new Map<string, number>();
  /** Added again while active. */
  readonly #dirty = new Map<string, Urgency>();
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

  add(key: string, urgency: Urgency = 'Usual'): void {
    if (this.#closed) return;
    this.#cancelDelay(key);
    if (urgency === 'Urgent' && this.#waiting.has(key)) this.#urgent.add(key);
    if (urgency === 'Urgent' && this.#dirty.has(key)) this.#dirty.set(key, urgency);
    if (this.#waiting.has(key) || this.#dirty.has(key)) return;
    this.#options.metrics.queueAdds.inc({ name: this.#options.name });
    if (this.#active.has(key)) {
      this.#dirty.set(key, urgency);
      return;
    }
    this.#enqueue(key, urgency);
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
    this.#urgent.clear();
    this.#dirty.clear();
    if (this.#active.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #cancelDelay(key: string): void {
    this.#delayed.get(key)?.cancel();
    this.#delayed.delete(key);
  }

  #enqueue(key: string, urgency: Urgency): void {
    this.#waiting.set(key, this.#options.clock.now());
    if (urgency === 'Urgent') this.#urgent.add(key);
  }

  #fill(): void {
    while (this.#active.size < this.#options.concurrency) {
      const key = firstOf(this.#urgent) ?? firstOf(this.#waiting.keys());
      if (key === undefined) return;
      const addedAt = this.#waiting.get(key) ?? this.#options.clock.now();
      this.#waiting.delete(key);
      this.#urgent.delete(key);
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
      const again = this.#dirty.get(key);
      this.#dirty.delete(key);
      if (again) this.#enqueue(key, again);
      this.#fill();
      if (this.#active.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
    });
  }
}
