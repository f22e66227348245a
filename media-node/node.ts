import { randomUUID } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';

import type { Knex } from 'knex';

import { createServiceTokenSigner } from '../common/auth/service-token.ts';
import { createSignalingClient } from '../common/clients/signaling.ts';
import { createKnex } from '../common/db/knex.ts';
import { observePool } from '../common/db/pool-metrics.ts';
import { createMediaRepository } from '../common/db/repositories/media.ts';
import { isApiError } from '../common/errors.ts';
import { closeServer, createHttpApp, listen, requireServiceToken } from '../common/service/http.ts';
import type { Logger } from '../common/service/logger.ts';
import type { MediaNodeConfig } from './config.ts';
import type { NodeContext } from './context.ts';
import { ConsumeFlow } from './flow/consume.ts';
import { createNamedMethods, createPeerMethods } from './flow/peer-methods.ts';
import { Sessions } from './flow/sessions.ts';
import { Registry } from './mediasoup/registry.ts';
import { Routers } from './mediasoup/routers.ts';
import { reportLost } from './mediasoup/transports.ts';
import { WorkerPool } from './mediasoup/workers.ts';
import { createMediaNodeMetrics, observeNode } from './metrics.ts';
import { localNode } from './nodes/local.ts';
import { Nodes } from './nodes/nodes.ts';
import { Outbox } from './notifications/outbox.ts';
import { RoomReplicas } from './notifications/replicas.ts';
import { serveOpenApi } from './openapi.ts';
import { DestinationPipes } from './pipes/destination.ts';
import { SourcePipes } from './pipes/source.ts';
import { Registration } from './registration.ts';
import { createHandlers } from './routes/handlers.ts';
import { createRoutes } from './routes/routes.ts';
import { RowReaper } from './rows/reaper.ts';
import { answerStarting } from './starting.ts';
import { Sweep } from './sweep/sweep.ts';

/** A running media node. */
export interface MediaNodeServer {
  readonly port: number;
  readonly ctx: NodeContext;
  readonly sweep: Sweep;
  readonly knex: Knex;
  /** Ends all media, tells the signaling service, removes the node's rows. Repeatable. */
  close(): Promise<void>;
}

/**
 * Starts a media node. It serves as soon as its workers run, and says before that it starts; while Postgres is away,
 * what needs it fails with `store_unavailable`.
 */
export async function startMediaNode(
  config: MediaNodeConfig,
  logger: Logger,
): Promise<MediaNodeServer> {
  let handle: RequestListener = answerStarting;
  const server = createServer((request, response) => handle(request, response));
  const port = await listen(server, config.listen);
  const self = {
    instanceId: randomUUID(),
    url: config.advertiseUrl ?? `http://${config.listen.host}:${port}`,
  };
  let node: Awaited<ReturnType<typeof compose>>;
  try {
    node = await compose(config, logger, self);
  } catch (error) {
    await closeServer(server);
    throw error;
  }
  const { ctx, app, sweep } = node;
  const answer = app.callback();
  handle = (request, response) => void answer(request, response);
  ctx.background('register', () => node.registration.keepTrying());
  logger.info({ ...self, port, workers: config.rtc.workers }, 'media node started');

  async function close(): Promise<void> {
    ctx.draining = true;
    for (const live of ctx.registry.transports.values()) reportLost(ctx, live, 'node_stopped');
    await node.stop();
    server.closeAllConnections();
    await closeServer(server);
  }
  let closing: Promise<void> | undefined;
  return { port, ctx, sweep, knex: node.knex, close: () => (closing ??= close()) };
}

async function compose(config: MediaNodeConfig, logger: Logger, self: NodeContext['self']) {
  const metrics = createMediaNodeMetrics();
  const knex = createKnex(config.database);
  observePool(metrics.registry, knex);
  const repository = createMediaRepository(knex);
  const registration = new Registration({ config, logger, repository, self });
  const signToken = createServiceTokenSigner({
    ...config.serviceAuth,
    issuer: config.instance.podName,
  });
  const http = { config: config.httpClient, metrics, signToken };
  const signaling = createSignalingClient({
    ...http,
    config: { ...config.httpClient, retries: 0 },
  });
  const registry = new Registry(config.peers);
  const background = inBackground(logger);
  const workers = await WorkerPool.create({
    config: config.rtc,
    logger,
    onDied: () => metrics.workerRestarts.inc(),
    onCpuUsed: (index, seconds) => metrics.workerCpu.inc({ worker: String(index) }, seconds),
    loadOf: (index) => loadOf(registry, index),
  }).catch(async (error: unknown) => {
    await knex.destroy();
    throw error;
  });

  // The parts know each other through the context; none of them looks at it before it is complete.
  const ctx = {
    config,
    logger,
    metrics,
    self,
    repository,
    registry,
    workers,
    rows: new RowReaper({ config: config.rows, repository, logger }),
    outbox: new Outbox({
      config: config.notifications,
      logger,
      post: (url, batch) => signaling.postMessages(url, batch),
      onDropped: (count) => metrics.messagesDropped.inc(count),
    }),
    replicas: new RoomReplicas(repository, config.notifications.replicaCacheMs),
    draining: false,
    announcedAddress: config.rtc.announcedAddress,
    register: () => registration.register(),
    background: background.run,
  } as { -readonly [K in keyof NodeContext]: NodeContext[K] };
  const flow = new ConsumeFlow(ctx);
  const local = localNode(ctx, flow);
  ctx.nodes = new Nodes(self.instanceId, local, http);
  ctx.sessions = new Sessions(ctx);
  ctx.sourcePipes = new SourcePipes(ctx);
  ctx.destinationPipes = new DestinationPipes(ctx);
  const routers = new Routers(ctx);
  const sweep = new Sweep(ctx, { routers, flow });

  const app = createHttpApp({
    logger,
    metrics,
    bodyLimitBytes: config.bodyLimitBytes,
    readiness: () => (workers.alive > 0 ? [] : ['media workers']),
    beforeScrape: observeNode(ctx),
  });
  app.use(serveOpenApi());
  app.use(requireServiceToken('media-node', config.serviceAuth.secret));
  app.use(
    createRoutes(ctx, createHandlers(ctx, { routers, flow, local, sweep }), {
      named: createNamedMethods(ctx),
      bySession: createPeerMethods(ctx, flow),
    }),
  );

  async function stop(): Promise<void> {
    registration.stop();
    ctx.destinationPipes.close();
    await sweep.close();
    for (const { router } of registry.routers.values()) router.close();
    await workers.close();
    await ctx.outbox.close(config.shutdownTimeoutMs * config.notifications.shutdownShare);
    await background.settled();
    await ctx.rows.flush();
    await registration.close();
    await knex.destroy();
  }
  return { ctx, app, sweep, knex, registration, stop };
}

const loadOf = (registry: Registry, index: number): number => {
  const on = (objects: Map<string, { transport: { router: { workerIndex: number } } }>): number =>
    [...objects.values()].filter(({ transport }) => transport.router.workerIndex === index).length;
  const routers = [...registry.routers.values()].filter(
    ({ workerIndex }) => workerIndex === index,
  ).length;
  return routers + on(registry.producers) + on(registry.consumers);
};

/** What runs on after an answer: logged when it fails, waited for at the end. */
function inBackground(logger: Logger) {
  const running = new Set<Promise<void>>();
  return {
    run: (what: string, work: () => Promise<unknown>): void => {
      const task = work()
        .then(
          () => undefined,
          (error: unknown) => {
            const level = isApiError(error) ? 'warn' : 'error';
            logger[level]({ err: error, what }, 'failed in the background');
          },
        )
        .finally(() => running.delete(task));
      running.add(task);
    },
    settled: async (): Promise<void> => {
      while (running.size > 0) await Promise.all(running);
    },
  };
}
