import { createServer } from 'node:http';

import { runService } from '../common/service/command.ts';
import { healthcheck } from '../common/service/healthcheck.ts';
import { closeServer, createHttpApp, listen } from '../common/service/http.ts';
import { runUntilSignal } from '../common/service/lifecycle.ts';
import { createLogger } from '../common/service/logger.ts';
import { createServiceMetrics } from '../common/service/metrics.ts';
import { operatorConfig, type OperatorConfig } from './config.ts';
import { createOperatorMetrics } from './metrics.ts';
import { systemClock } from './runtime/clock.ts';
import { startService } from './service.ts';

/** The operator makes no large requests and takes none. */
const bodyLimitBytes = 1024;

async function serve(config: OperatorConfig): Promise<void> {
  const logger = createLogger('operator', config.log.level);
  const serviceMetrics = createServiceMetrics();
  const metrics = createOperatorMetrics(serviceMetrics.registry);

  let waitingFor = (): string[] => ['start'];
  const app = createHttpApp({
    logger,
    metrics: serviceMetrics,
    bodyLimitBytes,
    readiness: () => waitingFor(),
  });
  const handle = app.callback();
  const server = createServer((request, response) => void handle(request, response));
  const port = await listen(server, config.listen);
  const service = await startService({
    ...{ config, serviceMetrics, metrics, logger },
    clock: systemClock,
    onFatal(why) {
      // Nothing may be written any more, so there is nothing to end in order.
      logger.fatal({ why }, 'ending at once');
      process.exit(1);
    },
  });
  waitingFor = service.waitingFor;
  logger.info({ port, ...service.about }, 'operator started');

  runUntilSignal(
    async () => {
      waitingFor = () => ['end'];
      await service.close();
      await closeServer(server);
    },
    logger,
    config.shutdownTimeoutMs,
  );
}

runService(operatorConfig, {
  serve: { run: serve },
  healthcheck: { run: (config) => healthcheck(config.listen, config.healthcheckTimeoutMs) },
  // Loaded when they are asked for alone: what they need, the operator need not have in its memory.
  migrate: { run: async (config) => (await import('./commands/migrate.ts')).runMigrate(config) },
  cleanup: {
    options: { timeout: 'SECONDS' },
    run: async (config, { timeout }) =>
      (await import('./commands/cleanup.ts')).runCleanup(config, timeout),
  },
  audit: {
    options: { output: 'table|json', grace: 'SECONDS' },
    failureStatus: 2,
    run: async (config, options) => (await import('./commands/audit.ts')).runAudit(config, options),
  },
  pools: {
    options: { file: 'FILE', selector: 'LABELS' },
    run: async (config, options) => (await import('./commands/pools.ts')).runPools(config, options),
  },
});
