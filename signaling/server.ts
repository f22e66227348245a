import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { createServiceTokenSigner } from '../common/auth/service-token.ts';
import { createMediaNodeClient } from '../common/clients/media-node.ts';
import { createSignalingClient } from '../common/clients/signaling.ts';
import { createKnex } from '../common/db/knex.ts';
import { observePool } from '../common/db/pool-metrics.ts';
import { createPeersRepository } from '../common/db/repositories/peers.ts';
import { createReplicasRepository } from '../common/db/repositories/replicas.ts';
import { messageOf } from '../common/errors.ts';
import { closeServer, listen } from '../common/service/http.ts';
import type { Logger } from '../common/service/logger.ts';
import type { SignalingConfig } from './config.ts';
import { acceptWebSockets } from './connection/accept.ts';
import { closeCodes } from './connection/close-codes.ts';
import { createDispatcher } from './fanout/dispatcher.ts';
import { createInternalApp } from './http/internal.ts';
import { createPublicApp } from './http/public.ts';
import { createKeyedQueue } from './keyed-queue.ts';
import { mapLimit } from './map-limit.ts';
import { createSignalingMetrics, observeMembership } from './metrics.ts';
import { createMover } from './moves/mover.ts';
import { createLossHandler } from './moves/losses.ts';
import { createSuspicions } from './moves/suspicions.ts';
import { createLeaver } from './peers/leave.ts';
import { createMembership } from './peers/membership.ts';
import { createReaper } from './peers/reaper.ts';
import { createRegistry } from './peers/registry.ts';
import { createKube } from './placement/kube.ts';
import { createPlacements } from './placement/placements.ts';
import type { Services } from './services.ts';
import { createWebhooks } from './webhooks/webhooks.ts';

export interface SignalingServer {
  publicPort: number;
  internalPort: number;
  /**
   * Serves on for `shutdownDelayMs` without being ready. Then closes every socket so that its client goes elsewhere, takes leave of the peers, and stops. Repeatable.
   */
  close: () => Promise<void>;
}

/** Puts the parts together; nothing runs yet. `internalUrl` is asked for when the replica registers. */
function compose(config: SignalingConfig, logger: Logger, internalUrl: string): Services {
  const metrics = createSignalingMetrics();
  const knex = createKnex(config.database);
  observePool(metrics.registry, knex);
  const peers = createPeersRepository(knex);
  const replicas = createReplicasRepository(knex);
  const signToken = createServiceTokenSigner({ ...config.serviceAuth, issuer: 'signaling' });
  const client = { config: config.httpClient, metrics, signToken };
  const nodes = createMediaNodeClient(client);
  const others = createSignalingClient(client);
  const hasty = { ...config.httpClient, timeoutMs: config.leave.nodeTimeoutMs };
  const hastyOthers = createSignalingClient({ ...client, config: { ...hasty, retries: 0 } });
  const kube = createKube({ config: config.kubernetes, logger });
  const placements = createPlacements({ config, kube, logger });
  const registry = createRegistry();
  const stores = { knex, peers, replicas, kube, placements };
  const base = { config, logger, metrics, ...stores, nodes, others, hastyOthers };
  const membership = createMembership({
    config,
    logger,
    replicas,
    url: internalUrl,
    onExpelled: () => {
      for (const peer of registry.all()) peer.close(closeCodes.restart, 'the replica starts over');
    },
  });
  observeMembership(metrics, membership.isHealthy);
  const suspicions = createSuspicions(base);
  const mover = createMover({ ...base, registry });
  const dispatcher = createDispatcher({
    ...base,
    registry,
    onLost: createLossHandler({ logger, mover, suspicions }),
    ownId: () => membership.id,
  });
  const leaver = createLeaver({
    ...base,
    dispatcher,
    // The leave of one peer must not wait for a silent node longer than that.
    nodes: createMediaNodeClient({ ...client, config: hasty }),
  });
  const parts = { membership, dispatcher, leaver, mover, suspicions };
  return { ...base, registry, bindings: createKeyedQueue(), ...parts };
}

/** Waits until every session is closed and left, but not for ever: a socket that hangs must not keep the process. */
async function closeSessions({ registry, config }: Services): Promise<void> {
  const sessions = registry.all();
  for (const session of sessions) session.close(closeCodes.restart, 'the replica stops');
  const ended = Promise.all(sessions.map((session) => session.ended));
  const enough = new AbortController();
  await Promise.race([
    ended.finally(() => enough.abort()),
    sleep(config.shutdownTimeoutMs * config.sessionsShutdownShare, undefined, {
      signal: enough.signal,
    }).catch(() => undefined),
  ]);
}

async function listenPublic(services: Services): Promise<{ server: Server; stop: () => void }> {
  const { host, port } = services.config.public;
  const app = acceptWebSockets(createPublicApp(services), services);
  const server = app.listen(port, host);
  const sockets = app.ws.server;
  // It repeats the errors of the HTTP server, which are handled there.
  sockets?.on('error', () => undefined);
  await once(server, 'listening');
  return { server, stop: () => sockets?.close() };
}

/**
 * What needs no socket of this replica goes on with another one, and where there is none waits for the next. What is left
 * then, as peers whose leave failed, leaves; so do broadcasters that nobody takes, since nobody would come for them.
 */
async function handOver(services: Services): Promise<void> {
  const { config, logger, peers, membership, leaver } = services;
  try {
    const heir = await peers.heirOf(membership.id, config.replicas.deadAfterMs);
    await peers.handOver(membership.id, heir ?? membership.id);
    const left = (await peers.listByReplica(membership.id)).filter((row) => !row.detachedAt);
    await mapLimit(left, config.replicas.reapConcurrency, leaver.leaveRow);
  } catch (error) {
    logger.warn({ reason: messageOf(error) }, 'peers were not handed over');
  }
}

/** What runs besides the listeners, started in the order that it stops in reverse. */
async function startParts(services: Services): Promise<() => Promise<void>> {
  const { placements, membership, leaver, knex, mover } = services;
  const reaper = createReaper(services);
  const webhooks = createWebhooks(services);
  placements.onRoomChange(mover.roomChanged);
  placements.start();
  await membership.start();
  reaper.start();
  webhooks.start();
  return async () => {
    await Promise.all([reaper.stop(), webhooks.stop()]);
    await handOver(services);
    await leaver.close();
    await membership.stop();
    await placements.stop();
    await knex.destroy();
  };
}

/**
 * Starts one replica. It serves as soon as it listens: while Postgres or the Kubernetes API is away, connections are
 * refused with an error that says so.
 *
 * @throws what keeps it from listening; nothing runs then
 */
export async function startSignaling(
  config: SignalingConfig,
  { logger }: { logger: Logger },
): Promise<SignalingServer> {
  const undo: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (let step = undo.pop(); step; step = undo.pop()) await step();
  };
  try {
    const internal = createServer();
    const internalPort = await listen(internal, config.internal);
    undo.push(() => closeServer(internal));
    const url = config.internal.url ?? `http://${config.internal.host}:${internalPort}`;
    const services = compose(config, logger, url);
    let ending = false;
    const handle = createInternalApp({ ...services, isEnding: () => ending }).callback();
    internal.on('request', (request, response) => void handle(request, response));
    undo.push(await startParts(services));
    const { server, stop } = await listenPublic(services);
    undo.push(async () => {
      stop();
      const closed = closeServer(server);
      await closeSessions(services);
      server.closeAllConnections();
      await closed;
    });
    const publicPort = (server.address() as AddressInfo).port;
    logger.info({ publicPort, internalPort, url }, 'signaling replica started');
    let closing: Promise<void> | undefined;
    const end = async (): Promise<void> => {
      ending = true;
      if (config.shutdownDelayMs > 0) await sleep(config.shutdownDelayMs);
      await close();
    };
    return { publicPort, internalPort, close: () => (closing ??= end()) };
  } catch (error) {
    await close();
    throw error;
  }
}
