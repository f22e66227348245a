import type { Knex } from 'knex';

import { createWebhooksRepository } from '../../common/db/repositories/webhooks.ts';
import type { Logger } from '../../common/service/logger.ts';
import type { ServiceMetrics } from '../../common/service/metrics.ts';
import type { WebhooksConfig } from './config.ts';
import { createDeliverer } from './deliverer.ts';
import { createWebhookMetrics } from './metrics.ts';
import { createSender } from './sender.ts';
import { createUpkeep } from './upkeep.ts';

export interface WebhooksDeps {
  config: { webhooks: WebhooksConfig };
  logger: Logger;
  metrics: Pick<ServiceMetrics, 'registry'>;
  knex: Knex;
}

/** One replica's part in delivering events of rooms and peers to the configured endpoints. */
export function createWebhooks({ config, logger, metrics, knex }: WebhooksDeps) {
  const webhooks = createWebhooksRepository(knex);
  const own = createWebhookMetrics(metrics.registry);
  // From the start, so that its first increase shows.
  for (const { name } of config.webhooks.endpoints) own.buried.inc({ endpoint: name }, 0);
  const base = { config: config.webhooks, logger, metrics: own, webhooks };
  const parts = [
    createUpkeep(base),
    ...config.webhooks.endpoints.map((endpoint) =>
      createDeliverer({ ...base, endpoint, send: createSender({ ...base, endpoint }) }),
    ),
  ];
  return {
    start(): void {
      for (const part of parts) part.start();
    },
    /** Waits a little for the deliveries under way. */
    async stop(): Promise<void> {
      await Promise.all(parts.map((part) => part.stop()));
    },
  };
}
