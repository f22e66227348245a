import Router from '@koa/router';
import type Koa from 'koa';
import { z } from 'zod';

import { ApiError } from '../../common/errors.ts';
import { instanceIdHeader } from '../../common/http/client.ts';
import { parseOrThrow } from '../../common/validate.ts';
import type { PeerMethod } from '../../common/wire/peer.ts';
import type { NodeContext } from '../context.ts';
import type { createPeerMethods, NamedHandlers } from '../flow/peer-methods.ts';
import type { PeerName } from '../flow/sessions.ts';
import { contract, peerEndpoints, type Endpoint, type EndpointName } from './contract.ts';
import type { EndpointHandlers } from './handlers.ts';

/** Object ids in paths; room and router names are free text. */
const uuidParams = new Set([
  'transportId',
  'producerId',
  'consumerId',
  'dataProducerId',
  'dataConsumerId',
  'mediaPeerId',
]);

/** @throws {ApiError} `invalid_request`, naming the parameter */
function checkedParams(params: Record<string, string>): Record<string, string> {
  const shape = Object.fromEntries(
    Object.keys(params).map((name) => [
      name,
      uuidParams.has(name) ? z.uuid() : z.string().min(1).max(253),
    ]),
  );
  return parseOrThrow(z.object(shape), params, 'path');
}

/** Refuses a call that is meant for an earlier run of this node. */
function requireInstance(ctx: NodeContext): Koa.Middleware {
  return async (koa, next) => {
    const meant = koa.get(instanceIdHeader);
    if (meant && meant !== ctx.self.instanceId)
      throw new ApiError('instance_mismatch', `this is instance ${ctx.self.instanceId}`);
    await next();
  };
}

/** The peer methods: those that are asked by name alone, and those of a session. */
export interface PeerHandlers {
  named: NamedHandlers;
  bySession: ReturnType<typeof createPeerMethods>;
}
type Handler = (of: unknown, data: unknown) => Promise<unknown>;

/** All internal routes: each checks its bytes by the contract and calls its handler. */
export function createRoutes(
  ctx: NodeContext,
  handlers: EndpointHandlers,
  methods: PeerHandlers,
): Koa.Middleware {
  const router = new Router();
  router.use(requireInstance(ctx));
  const add = (
    endpoint: Endpoint,
    handle: (params: Record<string, string>, body: unknown) => Promise<unknown>,
  ): void => {
    router.register(endpoint.path, [endpoint.method], async (koa: Koa.Context) => {
      const params = checkedParams(koa['params'] as Record<string, string>);
      const given = (koa.request as { body?: unknown }).body ?? {};
      const body = endpoint.body ? parseOrThrow(endpoint.body, given, 'body') : {};
      koa.body = (await handle(params, body)) ?? {};
    });
  };

  for (const name of Object.keys(contract) as EndpointName[])
    add(contract[name], handlers[name] as Parameters<typeof add>[1]);
  const call = callPeer(ctx, methods);
  for (const endpoint of peerEndpoints)
    add(endpoint, async ({ roomId = '', peerId = '' }, body) => {
      const { mediaPeerId, data } = body as { mediaPeerId: string; data: unknown };
      return call(endpoint.name, { roomId, peerId, mediaPeerId }, data);
    });
  return router.routes() as Koa.Middleware;
}

/** The endpoint's schema has checked that the data is the method's own. */
const callPeer =
  ({ sessions }: NodeContext, { named, bySession }: PeerHandlers) =>
  async (method: PeerMethod, name: PeerName, data: unknown): Promise<unknown> => {
    const handlers = (method in named ? named : bySession) as Record<string, Handler | undefined>;
    return handlers[method]?.(method in named ? name : await sessions.get(name), data);
  };
