import { setTimeout as sleep } from 'node:timers/promises';

import type { LiveTable, MediaRepository } from '../../common/db/repositories/media.ts';
import { messageOf } from '../../common/errors.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { MediaNodeConfig } from '../config.ts';

interface RowReaperDeps {
  config: MediaNodeConfig['rows'];
  repository: Pick<MediaRepository, 'deleteRows'>;
  logger: Logger;
}

/**
 * Deletes the rows of closed objects, in batches. What can't be deleted now, since the store is away, is left to the
 * sweep.
 */
export class RowReaper {
  readonly #deps: RowReaperDeps;
  #pending = new Map<LiveTable, Set<string>>();
  #flushing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: RowReaperDeps) {
    this.#deps = deps;
  }

  forget(table: LiveTable, id: string): void {
    const ids = this.#pending.get(table) ?? new Set();
    this.#pending.set(table, ids.add(id));
    this.#timer ??= setTimeout(() => void this.flush(), this.#deps.config.gatherMs);
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
      sleep(this.#deps.config.settleMs, undefined, { signal: enough.signal }).catch(
        () => undefined,
      ),
    ]);
    enough.abort();
  }

  async #delete(table: LiveTable, ids: string[]): Promise<void> {
    try {
      await this.#deps.repository.deleteRows(table, ids);
    } catch (error) {
      this.#deps.logger.warn(
        { table, count: ids.length, why: messageOf(error) },
        'rows stay for now',
      );
    }
  }
}
