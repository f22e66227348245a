import { readFileSync } from 'node:fs';

import type { NodeStatus } from '../common/wire/media-node.ts';
import type { NodeContext } from './context.ts';

const startedAt = new Date();

/** The installed version, from the package file. */
export const version = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  }
).version;

/** What the node has at this moment, from its own maps. */
export function nodeStatus(ctx: NodeContext): NodeStatus {
  const { registry, config, self, workers } = ctx;
  const routers = [...registry.routers.values()].map(routerStatus(ctx));
  return {
    instanceId: self.instanceId,
    pid: process.pid,
    podName: config.instance.podName,
    pool: config.instance.pool,
    role: config.instance.role,
    version,
    startedAt: startedAt.toISOString(),
    state: ctx.draining ? 'Draining' : 'Ready',
    ...(ctx.announcedAddress === undefined ? {} : { announcedAddress: ctx.announcedAddress }),
    load: {
      peers: registry.peers.length,
      producers: registry.producers.size,
      consumers: registry.consumers.size,
      dataProducers: registry.dataProducers.size,
      dataConsumers: registry.dataConsumers.size,
      cpuPercent: Math.max(0, ...workers.slots.map(({ cpuPercent }) => cpuPercent)),
    },
    workers: workers.slots.flatMap(({ index, worker, port, cpuPercent }) =>
      worker
        ? [
            {
              index,
              pid: worker.pid,
              port,
              cpuPercent,
              routers: routers.filter(({ workerIndex }) => workerIndex === index).length,
              consumers: sum(
                routers.filter(({ workerIndex }) => workerIndex === index),
                ({ consumers }) => consumers,
              ),
            },
          ]
        : [],
    ),
    routers,
    pipes: pipeStatus(ctx),
  };
}

const sum = <T>(items: T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0);

const routerStatus =
  ({ registry }: NodeContext) =>
  (live: NodeContext['registry']['routers'] extends Map<string, infer R> ? R : never) => {
    const on = (objects: Map<string, { transport: { router: unknown } }>): number =>
      [...objects.values()].filter(({ transport }) => transport.router === live).length;
    const { id, roomId, role, generation, workerIndex, transports } = live;
    return {
      routerId: id,
      roomId,
      role,
      generation,
      workerIndex,
      peers: new Set([...transports.values()].map(({ peer }) => peer.mediaPeerId)).size,
      transports: transports.size,
      producers: on(registry.producers),
      consumers: on(registry.consumers),
      dataProducers: on(registry.dataProducers),
      dataConsumers: on(registry.dataConsumers),
    };
  };

function pipeStatus({ sourcePipes, destinationPipes }: NodeContext): NodeStatus['pipes'] {
  return [
    ...sourcePipes.all.map((pipe) => ({
      pipeTransportId: pipe.id,
      end: 'source' as const,
      routerId: pipe.router.id,
      remoteRouterId: pipe.destination.routerId,
      remoteInstanceId: pipe.destination.node.instanceId,
      producers: pipe.producers,
      dataProducers: pipe.dataProducers,
    })),
    ...destinationPipes.all.map((pipe) => ({
      pipeTransportId: pipe.id,
      end: 'destination' as const,
      routerId: pipe.router.id,
      remoteRouterId: pipe.source.routerId,
      remoteInstanceId: pipe.source.node.instanceId,
      producers: pipe.producers,
      dataProducers: pipe.dataProducers,
    })),
  ];
}
