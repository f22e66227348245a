import { messageOf } from '../../common/errors.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { Clock } from '../runtime/clock.ts';
import { backoffDelay, type Backoff } from '../runtime/queue.ts';

/** The session store, as far as the operator needs it. */
export interface InstanceRegistry {
  /** Every instance that has a row. */
  listInstances(): Promise<{ instanceId: string; podName: string }[]>;
  /** Removes all that hangs off these instances. Ids that are not there are no error. */
  removeInstances(ids: string[]): Promise<void>;
}

export interface SweeperDeps {
  registry: InstanceRegistry;
  backoff: Backoff;
  clock: Clock;
  logger: Logger;
}

/** Removes the rows of instances that have ended, and keeps trying while the store is away. Nobody waits for it. */
export class InstanceSweeper {
  readonly #deps: SweeperDeps;
  readonly #pending = new Set<string>();
  #failures = 0;
  #running: Promise<void> | undefined;
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(deps: SweeperDeps) {
    this.#deps = deps;
  }

  get pending(): number {
    return this.#pending.size;
  }

  remove(instanceId: string): void {
    if (this.#closed) return;
    this.#pending.add(instanceId);
    if (!this.#cancel) this.#sweep();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#running;
  }

  #sweep(): void {
    this.#running ??= this.#removeBatch().finally(() => {
      this.#running = undefined;
      if (this.#pending.size > 0 && !this.#closed && !this.#cancel) this.#sweep();
    });
  }

  async #removeBatch(): Promise<void> {
    const { registry, backoff, clock, logger } = this.#deps;
    const ids = [...this.#pending];
    try {
      await registry.removeInstances(ids);
      for (const id of ids) this.#pending.delete(id);
      this.#failures = 0;
      logger.info({ instanceIds: ids }, 'removed the rows of ended instances');
    } catch (error) {
      const delay = backoffDelay(backoff, this.#failures++);
      logger.warn(
        { reason: messageOf(error), retryInMs: delay },
        'could not remove ended instances',
      );
      if (this.#closed) return;
      this.#cancel = clock.schedule(delay, () => {
        this.#cancel = undefined;
        this.#sweep();
      });
    }
  }
}
