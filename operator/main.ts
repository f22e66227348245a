import { createServer } from 'node:http';

import { loadConfig } from '../common/service/config.ts';
import { closeServer, createHttpApp, listen } from '../common/service/http.ts';
import { runMain, runUntilSignal } from '../common/service/lifecycle.ts';
import { createLogger } from '../common/service/logger.ts';
import { createServiceMetrics } from '../common/service/metrics.ts';
import { operatorConfig } from './config.ts';
import { startLocalAdapter } from './local/adapter.ts';
import { createOperatorMetrics } from './metrics.ts';
import { startOperator } from './operator.ts';
import { systemClock } from './runtime/clock.ts';

/** The operator makes no large requests and takes none. */
const bodyLimitBytes = 1024;

async function main(): Promise<void> {
  const config = loadConfig(operatorConfig);
  const logger = createLogger('operator', config.log.level);
  const serviceMetrics = createServiceMetrics();
  const metrics = createOperatorMetrics(serviceMetrics.registry);
  const clock = systemClock;

  let started = false;
  const app = createHttpApp({
    logger,
    metrics: serviceMetrics,
    bodyLimitBytes,
    readiness: () => (started ? [] : ['resources']),
  });
  const handle = app.callback();
  const server = createServer((request, response) => void handle(request, response));
  const port = await listen(server, config.listen);

  if (!config.local) throw new Error('the Kubernetes adapter is not wired up yet');
  const adapter = await startLocalAdapter({ config: config.local, metrics, clock, logger });
  const { cluster } = adapter;
  const operator = startOperator({ config, cluster, serviceMetrics, metrics, clock, logger });
  started = true;
  logger.info({ port, api: adapter.api.url }, 'operator started');

  runUntilSignal(
    async () => {
      started = false;
      // At once: a reconcile may be waiting for a node that hangs, and only the end of that node ends the wait.
      await Promise.all([operator.close(), adapter.close()]);
      await closeServer(server);
    },
    logger,
    config.shutdownTimeoutMs,
  );
}

runMain(main);
