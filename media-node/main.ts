import { runService } from '../common/service/command.ts';
import { healthcheck } from '../common/service/healthcheck.ts';
import { runUntilSignal } from '../common/service/lifecycle.ts';
import { createLogger } from '../common/service/logger.ts';
import { mediaNodeConfig, type MediaNodeConfig } from './config.ts';

async function serve(config: MediaNodeConfig): Promise<void> {
  const { startMediaNode } = await import('./node.ts');
  const logger = createLogger('media-node', config.log.level, { pod: config.instance.podName });
  const node = await startMediaNode(config, logger);
  runUntilSignal(() => node.close(), logger, config.shutdownTimeoutMs);
  let failed = false;
  process.on('unhandledRejection', (error) => {
    logger.fatal({ err: error }, 'unhandled rejection');
    // In order: the peers are reported as lost, so that they come anew elsewhere. Twice would be at once.
    if (!failed) process.kill(process.pid, 'SIGTERM');
    failed = true;
  });
}

runService(mediaNodeConfig, {
  serve: { run: serve },
  healthcheck: { run: (config) => healthcheck(config.listen, config.healthcheckTimeoutMs) },
});
