import cors from '@koa/cors';
import type Koa from 'koa';

import { createHttpApp, toApiError } from '../../common/service/http.ts';
import { requestIdHeader } from '../../common/service/logger.ts';
import { createOriginCheck } from '../connection/origin.ts';
import { toPublicError } from '../public-error.ts';
import type { Services } from '../services.ts';
import { broadcastersHandlers } from './broadcasters.ts';
import { broadcastersSpec } from './broadcasters-spec.ts';
import { servePage } from './page.ts';
import { roomsHandlers } from './rooms.ts';
import { roomsSpec } from './rooms-spec.ts';
import { createApiRouter } from './route.ts';

/** How long a browser may remember what it may ask, in seconds. */
const preflightMaxAge = 600;

/** The HTTP side of the public listener: the administrators' API, the broadcasters' and the page. */
export function createPublicApp(services: Services): Koa {
  const { config, logger, metrics } = services;
  const originAllowed = createOriginCheck(config.public.urls);
  const app = createHttpApp({
    logger,
    metrics,
    bodyLimitBytes: config.limits.broadcasterBodyBytes,
    readiness: () => [],
    probes: 'health',
  });
  app.use(async (_ctx, next) => {
    try {
      await next();
    } catch (error) {
      throw toPublicError(toApiError(error, logger), logger);
    }
  });
  app.use(
    cors({
      origin: (ctx) => (originAllowed(ctx.get('origin')) ? ctx.get('origin') : ''),
      allowMethods: ['GET', 'POST', 'DELETE'],
      allowHeaders: ['authorization', 'content-type', requestIdHeader],
      exposeHeaders: [requestIdHeader],
      maxAge: preflightMaxAge,
    }),
  );
  const { trustedProxies } = config.public;
  for (const router of [
    createApiRouter(roomsSpec, roomsHandlers(services), trustedProxies),
    createApiRouter(broadcastersSpec, broadcastersHandlers(services), trustedProxies),
  ])
    app.use(router.routes()).use(router.allowedMethods());
  if (config.public.page) app.use(servePage());
  return app;
}
