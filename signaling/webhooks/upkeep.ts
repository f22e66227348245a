import { setTimeout as sleep } from 'node:timers/promises';

import type { WebhooksRepository } from '../../common/db/repositories/webhooks.ts';
import { messageOf } from '../../common/errors.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { WebhooksConfig } from './config.ts';
import type { WebhookMetrics } from './metrics.ts';

export interface UpkeepDeps {
  config: WebhooksConfig;
  logger: Logger;
  metrics: WebhookMetrics;
  webhooks: WebhooksRepository;
}

/**
 * Keeps the outbox in order, at every replica: which endpoints there are, what may be deleted, how far behind they are. A
 * replica without endpoints does so too, since somebody has to forget those that there were.
 */
export function createUpkeep({ config, logger, metrics, webhooks }: UpkeepDeps) {
  const stop = new AbortController();
  let running: Promise<void> = Promise.resolve();

  async function measure(): Promise<void> {
    const backlogs = await webhooks.backlogs();
    for (const gauge of [metrics.lag, metrics.rooms, metrics.deadLetters]) gauge.reset();
    for (const { endpoint, lagSeconds, rooms, deadLetters } of backlogs) {
      metrics.lag.set({ endpoint }, lagSeconds);
      metrics.rooms.set({ endpoint }, rooms);
      metrics.deadLetters.set({ endpoint }, deadLetters);
    }
  }

  async function keep(): Promise<void> {
    // First, so that an outage of all replicas makes none of them forget an endpoint that it has.
    await webhooks.saveEndpoints(
      config.endpoints.map(({ name, events }) => ({ name, events: events ?? null })),
    );
    await webhooks.forgetEndpoints(config.forgetMs);
    await webhooks.deleteOld(config);
    await measure();
  }

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      await keep().catch((error: unknown) =>
        logger.warn({ reason: messageOf(error) }, 'the outbox of webhooks was not kept in order'),
      );
      await sleep(config.upkeepMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  }

  return {
    start(): void {
      running = run();
    },
    async stop(): Promise<void> {
      stop.abort();
      await running;
    },
  };
}
