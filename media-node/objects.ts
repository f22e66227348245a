import type { NodeObjects } from '../common/wire/media-node-objects.ts';
import type { NodeContext } from './context.ts';

type Refused = NodeObjects['refused'];

/**
 * Every live object at this moment, from the node's own maps.
 *
 * @param refused pairs that the sweep tries no more for a while
 */
export function nodeObjects(ctx: NodeContext, refused: Refused): NodeObjects {
  const { registry, config, self, sessions } = ctx;
  const { sweep, pipes } = config;
  const transportId = ({ transport }: { transport: { id: string } }): string => transport.id;
  return {
    instanceId: self.instanceId,
    podName: config.instance.podName,
    routers: [...registry.routers.values()].map(({ id, roomId }) => ({ routerId: id, roomId })),
    transports: [...registry.transports.values()].map(({ id, router, peer }) => ({
      transportId: id,
      routerId: router.id,
      mediaPeerId: peer.mediaPeerId,
    })),
    producers: [...registry.producers.values()].map((live) => ({
      producerId: live.id,
      transportId: transportId(live),
    })),
    dataProducers: [...registry.dataProducers.values()].map((live) => ({
      dataProducerId: live.id,
      transportId: transportId(live),
    })),
    consumers: [...registry.consumers.values()].map((live) => ({
      consumerId: live.id,
      producerId: live.source.id,
      transportId: transportId(live),
    })),
    dataConsumers: [...registry.dataConsumers.values()].map((live) => ({
      dataConsumerId: live.id,
      dataProducerId: live.source.id,
      transportId: transportId(live),
    })),
    pipes: pipesOf(ctx),
    sessions: sessions.ids,
    refused,
    limits: {
      sweepIntervalMs: sweep.intervalMs,
      sweepGraceMs: sweep.graceMs,
      pipeIdleMs: pipes.idleMs,
      pipeDemandIntervalMs: pipes.demandIntervalMs,
      pipeLostAfterMs: pipes.lostAfterMs,
    },
  };
}

function pipesOf({ sourcePipes, destinationPipes }: NodeContext): NodeObjects['pipes'] {
  return [
    ...sourcePipes.all.map((pipe) => ({
      pipeTransportId: pipe.id,
      end: 'source' as const,
      routerId: pipe.router.id,
      remoteRouterId: pipe.destination.routerId,
      remoteInstanceId: pipe.destination.node.instanceId,
      remotePipeTransportId: pipe.destinationTransportId,
      ...pipe.contents,
      unused: [],
    })),
    ...destinationPipes.all.map((pipe) => ({
      pipeTransportId: pipe.id,
      end: 'destination' as const,
      routerId: pipe.router.id,
      remoteRouterId: pipe.source.routerId,
      remoteInstanceId: pipe.source.node.instanceId,
      remotePipeTransportId: pipe.sourceTransportId,
      ...pipe.contents,
      unused: pipe.unused,
    })),
  ];
}
