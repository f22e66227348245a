import type Koa from 'koa';
import type { Logger } from 'pino';

import { createMediaNodeClient } from '../../common/clients/media-node.ts';
import { createSignalingClient } from '../../common/clients/signaling.ts';
import { ApiError, isApiError } from '../../common/errors.ts';
import type { MediaNodeConfig } from '../../media-node/config.ts';
import type { NodeContext } from '../../media-node/context.ts';
import { ConsumeFlow } from '../../media-node/flow/consume.ts';
import { createNamedMethods, createPeerMethods } from '../../media-node/flow/peer-methods.ts';
import { Sessions } from '../../media-node/flow/sessions.ts';
import { Registry } from '../../media-node/mediasoup/registry.ts';
import { Routers } from '../../media-node/mediasoup/routers.ts';
import { WorkerPool } from '../../media-node/mediasoup/workers.ts';
import type { MediaNodeMetrics } from '../../media-node/metrics.ts';
import { localNode } from '../../media-node/nodes/local.ts';
import { Nodes } from '../../media-node/nodes/nodes.ts';
import { Outbox } from '../../media-node/notifications/outbox.ts';
import { RoomReplicas } from '../../media-node/notifications/replicas.ts';
import { DestinationPipes } from '../../media-node/pipes/destination.ts';
import { SourcePipes } from '../../media-node/pipes/source.ts';
import { Registration } from '../../media-node/registration.ts';
import { createHandlers } from '../../media-node/routes/handlers.ts';
import { createRoutes } from '../../media-node/routes/routes.ts';
import { RowReaper } from '../../media-node/rows/reaper.ts';
import { Sweep } from '../../media-node/sweep/sweep.ts';
import { newUuid } from './ids.ts';
import { openObjects, type SimulatedObject, type SimulatedWorker } from './mediasoup.ts';
import type { SimulatedStore } from './media-store.ts';
import type { Request, SimulatedNetwork } from './network.ts';
import type { SimulatedProcess } from './process.ts';

export interface MediaSurroundings {
  network: SimulatedNetwork;
  store: SimulatedStore;
  config: MediaNodeConfig;
  metrics: MediaNodeMetrics;
  logger: Logger;
}

/** One run of a media node: its own code on simulated workers, tables and network. */
export class SimulatedMediaNode {
  readonly process: SimulatedProcess;
  readonly ctx: NodeContext;
  readonly #serve: Koa.Middleware;

  private constructor(process: SimulatedProcess, ctx: NodeContext, serve: Koa.Middleware) {
    this.process = process;
    this.ctx = ctx;
    this.#serve = serve;
  }

  static async start(
    process: SimulatedProcess,
    surroundings: MediaSurroundings,
  ): Promise<SimulatedMediaNode> {
    const { ctx, serve } = await compose(process, surroundings);
    const node = new SimulatedMediaNode(process, ctx, serve);
    surroundings.network.listen(ctx.self.url, {
      ...{ process, handle: (request: Request) => node.#answer(request) },
    });
    return node;
  }

  get instanceId(): string {
    return this.ctx.self.instanceId;
  }

  get runs(): boolean {
    return !this.process.ended;
  }

  get workers(): SimulatedWorker[] {
    return this.ctx.workers.slots.flatMap(
      ({ worker }) => (worker as unknown as SimulatedWorker | undefined) ?? [],
    );
  }

  /** Whatever mediasoup has open here. */
  get open(): SimulatedObject[] {
    return openObjects(this.workers);
  }

  async #answer({ method, path, headers, body }: Request): Promise<unknown> {
    const koa = {
      ...{ method, path, request: { body }, body: undefined as unknown },
      get: (name: string) => headers[name.toLowerCase()] ?? '',
    };
    await this.#serve(koa as unknown as Koa.Context, () => {
      throw new ApiError('not_found', `no ${method} ${path}`);
    });
    return koa.body;
  }
}

async function compose(
  process: SimulatedProcess,
  { network, store, config, metrics, logger }: MediaSurroundings,
) {
  const self = { instanceId: newUuid(), url: config.advertiseUrl ?? '' };
  const repository = store.repositoryFor(process);
  const token = network.join(process);
  const http = {
    ...{ config: config.httpClient, metrics },
    signToken: () => Promise.resolve(token),
  };
  const signaling = createSignalingClient({ ...http, config: { ...http.config, retries: 0 } });
  const registration = new Registration({ config, logger, repository, self });
  const registry = new Registry(config.peers);
  const workers = await WorkerPool.create({
    ...{ config: config.rtc, logger },
    ...{ onDied: () => undefined, onCpuUsed: () => undefined, loadOf: () => 0 },
  });
  const ctx = {
    ...{ config, logger, metrics, self, repository, registry, workers },
    rows: new RowReaper({ config: config.rows, repository, logger }),
    outbox: new Outbox({
      ...{ config: config.notifications, logger, onDropped: () => undefined },
      post: (url, batch) => signaling.postMessages(url, batch),
    }),
    replicas: new RoomReplicas(repository, config.notifications.replicaCacheMs),
    ...{ draining: false, announcedAddress: undefined },
    register: () => registration.register(),
    background: (what: string, work: () => Promise<unknown>): void => {
      work().catch((error: unknown) => {
        logger[isApiError(error) ? 'warn' : 'error']({ err: error, what }, 'failed');
      });
    },
  } as { -readonly [K in keyof NodeContext]: NodeContext[K] };
  const flow = new ConsumeFlow(ctx);
  const local = localNode(ctx, flow);
  ctx.nodes = new Nodes(self.instanceId, local, http);
  ctx.sessions = new Sessions(ctx);
  ctx.sourcePipes = new SourcePipes(ctx);
  ctx.destinationPipes = new DestinationPipes(ctx);
  const routers = new Routers(ctx);
  const sweep = new Sweep(ctx, { routers, flow });
  const serve = createRoutes(ctx, createHandlers(ctx, { routers, flow, local, sweep }), {
    named: createNamedMethods(ctx),
    bySession: createPeerMethods(ctx, flow),
  });
  ctx.background('register', () => registration.keepTrying());
  return { ctx, serve };
}

/** A client of media nodes, as the signaling service and the operator are. */
export function simulatedClient(
  process: SimulatedProcess,
  { network, config, metrics }: MediaSurroundings,
) {
  const token = network.join(process);
  return createMediaNodeClient({
    ...{ config: config.httpClient, metrics },
    signToken: () => Promise.resolve(token),
  });
}
