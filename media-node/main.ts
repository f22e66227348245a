import { loadConfig } from '../common/service/config.ts';
import { runMain, runUntilSignal } from '../common/service/lifecycle.ts';
import { createLogger } from '../common/service/logger.ts';
import { mediaNodeConfig } from './config.ts';
import { startMediaNode } from './node.ts';

runMain(async () => {
  const config = loadConfig(mediaNodeConfig);
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
});
