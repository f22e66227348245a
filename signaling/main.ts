import { loadConfig } from '../common/service/config.ts';
import { runMain, runUntilSignal } from '../common/service/lifecycle.ts';
import { createLogger } from '../common/service/logger.ts';
import { signalingConfig } from './config.ts';
import { startSignaling } from './server.ts';

runMain(async () => {
  const config = loadConfig(signalingConfig);
  const logger = createLogger('signaling', config.log.level);
  const server = await startSignaling(config, { logger });
  runUntilSignal(server.close, logger, config.shutdownTimeoutMs);
});
