import { runService } from '../common/service/command.ts';
import { healthcheck } from '../common/service/healthcheck.ts';
import { runUntilSignal } from '../common/service/lifecycle.ts';
import { createLogger } from '../common/service/logger.ts';
import { signalingConfig, type SignalingConfig } from './config.ts';

async function serve(config: SignalingConfig): Promise<void> {
  const { startSignaling } = await import('./server.ts');
  const logger = createLogger('signaling', config.log.level);
  const server = await startSignaling(config, { logger });
  runUntilSignal(server.close, logger, config.shutdownDelayMs + config.shutdownTimeoutMs);
}

runService(signalingConfig, {
  serve: { run: serve },
  healthcheck: { run: (config) => healthcheck(config.internal, config.healthcheckTimeoutMs) },
  check: {
    options: { url: 'URL', ca: 'FILE' },
    run: async (config, { url = '', ca }) =>
      (await import('./commands/check.ts')).runCheck(config, { url, ca }),
  },
  'webhooks list-dead': {
    options: { endpoint: 'NAME', room: 'NAME', id: 'ID', limit: 'NUMBER' },
    run: async (config, options) =>
      (await import('./webhooks/commands.ts')).listDead(config, options),
  },
  'webhooks redeliver': {
    options: { endpoint: 'NAME', room: 'NAME', id: 'ID' },
    run: async (config, options) =>
      (await import('./webhooks/commands.ts')).redeliver(config, options),
  },
});
