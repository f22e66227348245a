import Router from '@koa/router';
import type Koa from 'koa';

import { createHttpApp, requireServiceToken } from '../../common/service/http.ts';
import { parseOrThrow } from '../../common/validate.ts';
import { closePeerRequest, messageBatch } from '../../common/wire/signaling.ts';
import type { Services } from '../services.ts';

type Deps = Pick<
  Services,
  'config' | 'logger' | 'metrics' | 'dispatcher' | 'registry' | 'placements'
> & {
  /** Whether the replica was told to end. */
  isEnding: () => boolean;
};

/** The API for media nodes and other replicas, with the probes and metrics. */
export function createInternalApp(deps: Deps): Koa {
  const { config, logger, metrics, dispatcher, registry } = deps;
  const app = createHttpApp({
    logger,
    metrics,
    bodyLimitBytes: config.internal.bodyLimitBytes,
    // What was known once stays usable, so an outage of the API does not take readiness away. Postgres never counts: its
    // tables may be made after the replica has started.
    readiness: () => [
      ...(deps.placements.synced ? [] : ['rooms and pools from the Kubernetes API']),
      ...(deps.isEnding() ? ['end'] : []),
    ],
  });
  const router = new Router({ prefix: '/internal' });
  router.use(requireServiceToken('signaling', config.serviceAuth.secret));
  router.post('/messages', (ctx) => {
    dispatcher.handle(parseOrThrow(messageBatch, ctx.request.body, 'body'));
    ctx.body = {};
  });
  router.post('/peers/:mediaPeerId/close', (ctx) => {
    const request = parseOrThrow(closePeerRequest, ctx.request.body, 'body');
    const { code, reason, beforeEpoch } = request;
    const peer = registry.get(ctx.params['mediaPeerId'] ?? '');
    // One that is still taking the session over does so later.
    const isLater = beforeEpoch !== undefined && (peer?.ownerEpoch ?? beforeEpoch) >= beforeEpoch;
    // A connection that is gone already is what was wanted.
    if (!isLater) peer?.close(code, reason);
    ctx.body = {};
  });
  app.use(router.routes()).use(router.allowedMethods());
  return app;
}
