import { setTimeout as sleep } from 'node:timers/promises';

import type { LiveTable, MediaRepository } from '../../common/db/repositories/media.ts';
import { messageOf } from '../../common/errors.ts';
import type { Logger } from '../../common/service/logger.ts';

/** How long ids are gathered before they go out in one statement a table, in milliseconds. */
const gatherMs = 20;
/** How long a call waits for the rows of what it closed, in milliseconds. */
const settleMs = 500;

/**
 * Deletes the rows of closed objects, in batches. What can't be deleted now, since the store is away, is left to the
 * sweep.
 */
export class RowReaper {
  readonly #repository: Pick<MediaRepository, 'deleteRows'>;
  readonly #logger: Logger;
  #pending = new Map<LiveTable, Set<string>>();
  #flushing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(repository: Pick<MediaRepository, 'deleteRows'>, logger: Logger) {
    this.#repository = repository;
    this.#logger = logger;
  }

  forget(table: LiveTable, id: string): void {
    const ids = this.#pending.get(table) ?? new Set();
    this.#pending.set(table, ids.add(id));
    this.#timer ??= setTimeout(() => void this.flush(), gatherMs);
  }

  /** Resolves once all that was named before is deleted, or was tried. Never rejects. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch = this.#pending;
    this.#pending = new Map();
    this.#flushing = this.#flushing.then(async () => {
      for (const [table, ids] of batch) await this.#delete(table, [...ids]);
    });
    return this.#flushing;
  }

  /** The same for who answers a call: a store that is slow or away does not keep the caller waiting. */
  async settle(): Promise<void> {
    const enough = new AbortController();
    await Promise.race([
      this.flush(),
      sleep(settleMs, undefined, { signal: enough.signal }).catch(() => undefined),
    ]);
    enough.abort();
  }

  async #delete(table: LiveTable, ids: string[]): Promise<void> {
    try {
      await this.#repository.deleteRows(table, ids);
    } catch (error) {
      this.#logger.warn({ table, count: ids.length, why: messageOf(error) }, 'rows stay for now');
    }
  }
}
