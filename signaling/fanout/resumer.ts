import { isApiError } from '../../common/errors.ts';
import type { Logger } from '../../common/service/logger.ts';

export interface ResumerDeps {
  /** Asks the media node; called with everything that was answered since the last call. */
  resume: (consumerIds: string[]) => Promise<unknown>;
  retryMs: number;
  logger: Logger;
}

/** The media node takes no more ids in one call. */
const maxIds = 1000;

/**
 * Resumes the consumers that a client has answered for: one call for all answers of the same tick, and while a call is
 * under way the next ones gather. A failure that may pass is tried again, since what stays paused is a frozen picture.
 * What the client pauses itself meanwhile stays paused.
 */
export function createResumer({ resume, retryMs, logger }: ResumerDeps) {
  const waiting = new Set<string>();
  /** Those of the call that is under way. */
  let asked = new Set<string>();
  let scheduled: NodeJS.Immediate | NodeJS.Timeout | undefined;
  let running = false;
  let closed = false;
  const isClosed = (): boolean => closed;

  const schedule = (): void => {
    if (!closed && !running && scheduled === undefined && waiting.size > 0)
      scheduled = setImmediate(() => void flush());
  };

  async function flush(): Promise<void> {
    scheduled = undefined;
    if (closed) return;
    const ids = [...waiting].slice(0, maxIds);
    for (const id of ids) waiting.delete(id);
    if (ids.length === 0) return;
    asked = new Set(ids);
    running = true;
    let retry = false;
    try {
      await resume(ids);
    } catch (error) {
      retry = isApiError(error) && error.retryable;
      if (retry) for (const id of asked) waiting.add(id);
      logger.warn({ err: error, consumers: ids.length, retry }, 'consumers were not resumed');
    }
    running = false;
    if (retry && !isClosed()) scheduled = setTimeout(() => void flush(), retryMs);
    else schedule();
  }

  return {
    add(consumerId: string): void {
      waiting.add(consumerId);
      schedule();
    },
    /** Leaves these to the client, who paused them. */
    drop(consumerIds: string[]): void {
      for (const id of consumerIds) {
        waiting.delete(id);
        asked.delete(id);
      }
    },
    close(): void {
      closed = true;
      clearImmediate(scheduled as NodeJS.Immediate | undefined);
      clearTimeout(scheduled as NodeJS.Timeout | undefined);
    },
  };
}
