import { setTimeout as sleep } from 'node:timers/promises';

import type { MediaRepository } from '../common/db/repositories/media.ts';
import { messageOf } from '../common/errors.ts';
import type { Logger } from '../common/service/logger.ts';
import type { NodeAddress } from '../common/wire/media-node.ts';
import type { MediaNodeConfig } from './config.ts';
import { version } from './status.ts';

export interface RegistrationDeps {
  config: MediaNodeConfig;
  logger: Logger;
  repository: MediaRepository;
  self: NodeAddress;
}

/** This run's row in the table of media nodes. The node serves without it; what needs it tries again. */
export class Registration {
  readonly #deps: RegistrationDeps;
  readonly #stop = new AbortController();
  #registering: Promise<void> | undefined;

  constructor(deps: RegistrationDeps) {
    this.#deps = deps;
  }

  /** Makes sure of the row, in place of earlier runs' of the same pod. @throws {ApiError} `store_unavailable` */
  register(): Promise<void> {
    const { config, repository, self } = this.#deps;
    this.#registering ??= repository
      .registerWorker({
        ...self,
        podName: config.instance.podName,
        pool: config.instance.pool,
        role: config.instance.role,
        workerCount: config.rtc.workers,
        version,
      })
      .then(() => undefined)
      .finally(() => {
        this.#registering = undefined;
      });
    return this.#registering;
  }

  /** Registers in the background, with growing pauses, until it succeeds. */
  async keepTrying(): Promise<void> {
    const { retryMs, maxRetryMs } = this.#deps.config.registration;
    let pause = retryMs;
    while (!this.#stop.signal.aborted) {
      try {
        await this.register();
        this.#deps.logger.info('registered');
        return;
      } catch (error) {
        this.#deps.logger.warn({ why: messageOf(error) }, 'can’t register yet');
      }
      await sleep(pause, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      pause = Math.min(pause * 2, maxRetryMs);
    }
  }

  /** No further attempts. */
  stop(): void {
    this.#stop.abort();
  }

  /** Removes the row, and with it all that hangs off it. A store that is away keeps nobody from stopping. */
  async close(): Promise<void> {
    this.stop();
    const { repository, self, logger } = this.#deps;
    try {
      await repository.deleteWorker(self.instanceId);
    } catch (error) {
      logger.warn({ why: messageOf(error) }, 'the row stays: the next run of this pod removes it');
    }
  }
}
