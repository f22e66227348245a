import type Koa from 'koa';

import { createHttpApp } from '../../common/service/http.ts';
import type { Services } from '../services.ts';

/** The HTTP side of the public listener: the rooms API and the broadcasters' API. */
export function createPublicApp(services: Services): Koa {
  const { config, logger, metrics } = services;
  return createHttpApp({
    logger,
    metrics,
    bodyLimitBytes: config.limits.broadcasterBodyBytes,
    readiness: () => [],
    probes: 'health',
  });
}
