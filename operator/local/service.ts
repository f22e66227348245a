import { startOperator } from '../operator.ts';
import type { Service, ServiceOptions } from '../service.ts';
import { startLocalAdapter } from './adapter.ts';
import type { LocalConfig } from './config.ts';

export async function startLocally(options: ServiceOptions, config: LocalConfig): Promise<Service> {
  const { metrics, clock, logger } = options;
  const adapter = await startLocalAdapter({ config, metrics, clock, logger });
  const operator = startOperator({ ...options, cluster: adapter.cluster });
  return {
    waitingFor: () => [],
    about: { api: adapter.api.url },
    async close() {
      // At once: a reconcile may be waiting for a node that hangs, and only the end of that node ends the wait.
      await Promise.all([operator.close(), adapter.close()]);
    },
  };
}
