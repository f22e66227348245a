import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { bodyParser } from '@koa/bodyparser';
import Router from '@koa/router';
import Koa from 'koa';

import { verifyServiceToken, type ServiceAudience } from '../auth/service-token.ts';
import { ApiError, isApiError } from '../errors.ts';
import { requestIdHeader, withRequestId, type Logger } from './logger.ts';
import type { ServiceMetrics } from './metrics.ts';
import { traceparentHeader, withTrace } from './trace.ts';

export interface HttpChassis {
  logger: Logger;
  metrics: ServiceMetrics;
  /** Largest request body in bytes. */
  bodyLimitBytes: number;
  /** Names what keeps the service from taking work; an empty list means ready. Must not depend on a store. */
  readiness: () => string[];
  /** Brings metrics up to date that are read off when they are asked for. */
  beforeScrape?: () => Promise<void>;
  /** A public listener shows its health alone. */
  probes?: 'all' | 'health';
}

/** Answers with an {@link ApiError} as its code; anything else is logged and answered as `internal`. */
export function toApiError(error: unknown, logger: Logger): ApiError {
  if (isApiError(error)) return error;
  logger.error({ err: error }, 'unexpected error');
  return new ApiError('internal', 'internal error; the log has the details under this request id');
}

/** A body that can't be read is the caller's fault, be it its size, its compression or its JSON. */
const toBodyError = (error: Error): ApiError =>
  (error as { status?: unknown }).status === 413
    ? new ApiError('payload_too_large', 'the request body is too large')
    : new ApiError('invalid_request', `body: ${error.message}`);

const routeOf = (ctx: Koa.Context): string =>
  (ctx['_matchedRoute'] as string | undefined) ?? 'unmatched';

function requestContext(): Koa.Middleware {
  return (ctx, next) => {
    const given = ctx.get(requestIdHeader);
    const requestId = /^[\w.-]{1,64}$/.test(given) ? given : randomUUID();
    ctx.set(requestIdHeader, requestId);
    return withTrace(ctx.get(traceparentHeader), () => withRequestId(requestId, next));
  };
}

function observe({ logger, metrics }: HttpChassis): Koa.Middleware {
  return async (ctx, next) => {
    const end = metrics.httpRequestDuration.startTimer();
    try {
      await next();
      if (ctx.status === 404 && ctx.body === undefined)
        throw new ApiError('not_found', `no such route: ${ctx.method} ${ctx.path}`);
      if (ctx.status === 405)
        throw new ApiError('method_not_allowed', `${ctx.method} is not allowed on ${ctx.path}`);
    } catch (error) {
      const apiError = toApiError(error, logger);
      metrics.errors.inc({ code: apiError.code });
      ctx.status = apiError.status;
      ctx.body = apiError.toBody();
      logger.info({ code: apiError.code, method: ctx.method, path: ctx.path }, apiError.message);
    } finally {
      const seconds = end({ method: ctx.method, route: routeOf(ctx), code: ctx.status });
      logger.debug({ method: ctx.method, path: ctx.path, status: ctx.status, seconds }, 'request');
    }
  };
}

/** A Koa application with request ids, logs, metrics, coded errors, body parsing and the probe routes. */
export function createHttpApp(chassis: HttpChassis): Koa {
  const app = new Koa();
  app.use(requestContext());
  app.use(observe(chassis));
  app.use(probes(chassis));
  app.use(
    bodyParser({
      enableTypes: ['json'],
      jsonLimit: chassis.bodyLimitBytes,
      parsedMethods: ['POST', 'PUT', 'PATCH', 'DELETE'],
      onError: (error) => {
        throw toBodyError(error);
      },
    }),
  );
  return app;
}

/** `/healthz` (the process runs), `/readyz` (it takes work), `/metrics`. None of them asks a store. */
function probes(chassis: HttpChassis): Koa.Middleware {
  const { metrics, readiness, beforeScrape, probes: which = 'all' } = chassis;
  const router = new Router();
  router.get('/healthz', (ctx) => {
    ctx.body = { status: 'ok' };
  });
  if (which === 'health') return router.routes() as Koa.Middleware;
  router.get('/readyz', (ctx) => {
    const waitingFor = readiness();
    ctx.status = waitingFor.length === 0 ? 200 : 503;
    ctx.body = { status: waitingFor.length === 0 ? 'ok' : 'waiting', waitingFor };
  });
  router.get('/metrics', async (ctx) => {
    await beforeScrape?.();
    ctx.type = metrics.registry.contentType;
    ctx.body = await metrics.registry.metrics();
  });
  return router.routes() as Koa.Middleware;
}

/** Refuses calls without a valid service token. */
export function requireServiceToken(audience: ServiceAudience, secret: string): Koa.Middleware {
  return async (ctx, next) => {
    ctx.state['caller'] = await verifyServiceToken(
      ctx.get('authorization') || undefined,
      audience,
      secret,
    );
    await next();
  };
}

export interface ListenAddress {
  host: string;
  /** 0 lets the system choose. */
  port: number;
}

/** Starts listening and resolves with the port; rejects when the address can't be had. */
export async function listen(server: Server, { host, port }: ListenAddress): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return (server.address() as AddressInfo).port;
}

/** Stops accepting, ends idle connections and resolves once the open requests are answered. */
export async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
