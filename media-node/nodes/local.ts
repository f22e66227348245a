import { ApiError } from '../../common/errors.ts';
import type { PeerResponse } from '../../common/wire/peer.ts';
import type { RtpCapabilities } from '../../common/wire/rtp.ts';
import { tell, type NodeContext } from '../context.ts';
import type { ConsumeFlow } from '../flow/consume.ts';
import {
  closeConsumers,
  consumerInfo,
  createConsumer,
  createDataConsumer,
  dataConsumerInfo,
} from '../mediasoup/consumers.ts';
import { askMediasoup } from '../mediasoup/errors.ts';
import type { LiveConsumer, LiveTransport } from '../mediasoup/objects.ts';
import { putPeer } from '../mediasoup/peers.ts';
import {
  closeTransport,
  connectTransport,
  createTransport,
  restartIce,
} from '../mediasoup/transports.ts';
import type { MediaNode } from './nodes.ts';

/** This node: what the routes call, and what the flow calls where both sides are here. */
export function localNode(ctx: NodeContext, flow: ConsumeFlow): MediaNode {
  return {
    ...flowSteps(ctx, flow),
    ...pipeUpkeep(ctx),
    ...peersAndProducers(ctx),
    ...receivingSide(ctx),
  };
}

type FlowSteps = Pick<
  MediaNode,
  | 'consume'
  | 'consumeData'
  | 'destinationPipeTransport'
  | 'sourcePipeTransport'
  | 'pipeConsume'
  | 'pipeConsumeData'
  | 'createConsumers'
  | 'createDataConsumers'
  | 'createRouterConsumers'
  | 'closeConsumers'
>;

const present = <T>(items: (T | undefined)[]): T[] =>
  items.filter((item): item is T & {} => item !== undefined);

function flowSteps(ctx: NodeContext, flow: ConsumeFlow): FlowSteps {
  const { registry } = ctx;
  const media = async (
    transport: LiveTransport,
    producerIds: string[],
    capabilities: RtpCapabilities,
  ) => {
    const made = producerIds.map((id) => createConsumer(ctx, transport, id, capabilities));
    return present(await Promise.all(made)).map(consumerInfo);
  };
  const data = async (transport: LiveTransport, dataProducerIds: string[]) => {
    const made = dataProducerIds.map((id) => createDataConsumer(ctx, transport, id));
    return present(await Promise.all(made)).map(dataConsumerInfo);
  };
  const logMade = (routerId: string, consumers: number): void =>
    ctx.logger.info({ routerId, consumers }, 'consumers created');
  const receiving = (transportId: string): LiveTransport => {
    const transport = registry.transport(transportId);
    if (transport.direction !== 'consumer')
      throw new ApiError('transport_not_found', `transport ${transportId} does not receive`);
    return transport;
  };

  return {
    consume: async (transportId, { producerIds, rtpCapabilities }) => ({
      consumers: await flow.consume(transportId, producerIds, rtpCapabilities),
    }),
    consumeData: async (transportId, { dataProducerIds }) => ({
      dataConsumers: await flow.consumeData(transportId, dataProducerIds),
    }),
    destinationPipeTransport: (routerId, body) => ctx.destinationPipes.ensure(routerId, body),
    sourcePipeTransport: (routerId, body) => ctx.sourcePipes.ensure(routerId, body),
    pipeConsume: async (id, { producerIds, sequence }) =>
      ctx.sourcePipes.get(id).consume(producerIds, sequence),
    pipeConsumeData: async (id, { dataProducerIds, sequence }) =>
      ctx.sourcePipes.get(id).consumeData(dataProducerIds, sequence),
    async createConsumers(transportId, { producerIds, rtpCapabilities }) {
      const transport = receiving(transportId);
      const consumers = await media(transport, producerIds, rtpCapabilities);
      logMade(transport.router.id, consumers.length);
      return { consumers };
    },
    createDataConsumers: async (transportId, { dataProducerIds }) => ({
      dataConsumers: await data(receiving(transportId), dataProducerIds),
    }),
    async createRouterConsumers(routerId, body) {
      const { capabilities, receivers, producerIds, dataProducerIds } = body;
      const { transports } = registry.router(routerId);
      // A receiver that has left meanwhile is left out.
      const live = receivers.flatMap(({ transportId, capabilities: index }) => {
        const transport = transports.get(transportId);
        const rtpCapabilities = index === undefined ? undefined : capabilities[index];
        return transport?.direction === 'consumer' ? [{ transport, rtpCapabilities }] : [];
      });
      const made = await Promise.all(
        live.map(async ({ transport, rtpCapabilities }) => ({
          consumers: rtpCapabilities ? await media(transport, producerIds, rtpCapabilities) : [],
          dataConsumers: await data(transport, dataProducerIds),
        })),
      );
      const consumers = made.flatMap((of) => of.consumers);
      logMade(routerId, consumers.length);
      return { consumers, dataConsumers: made.flatMap((of) => of.dataConsumers) };
    },
    async closeConsumers(routerId, { receivers }) {
      const transports = registry.routers.get(routerId)?.transports;
      for (const { transportId, ...producers } of receivers) {
        const transport = transports?.get(transportId);
        if (transport) await closeConsumers(transport, producers);
      }
    },
  };
}

function pipeUpkeep(ctx: NodeContext): Pick<MediaNode, 'pipeState' | 'pipeDemand' | 'pipeRelease'> {
  return {
    pipeState: (id, body) => ctx.destinationPipes.applyState(id, body),
    pipeDemand: async (id, body) => ctx.sourcePipes.get(id).demand(body),
    pipeRelease: (id, body) => ctx.sourcePipes.release(id, body),
  };
}

type PeersAndProducers = Pick<
  MediaNode,
  | 'putPeer'
  | 'closeTransport'
  | 'closeProducer'
  | 'pauseProducer'
  | 'resumeProducer'
  | 'producerStats'
>;

function peersAndProducers(ctx: NodeContext): PeersAndProducers {
  const { registry, rows } = ctx;
  const producerOf = (id: string, mediaPeerId: string | undefined) =>
    registry.producer(id, mediaPeerId).source.producer;
  return {
    putPeer: (mediaPeerId, body) => putPeer(ctx, mediaPeerId, body),
    closeTransport: async (transportId, { mediaPeerId }) => {
      closeTransport(ctx, transportId, mediaPeerId);
      await rows.settle();
    },
    closeProducer: async (id, { mediaPeerId }) => {
      if (registry.producers.has(id)) producerOf(id, mediaPeerId).close();
      await rows.settle();
    },
    pauseProducer: async (id, { mediaPeerId }) => {
      const producer = producerOf(id, mediaPeerId);
      await askMediasoup('pause', () => producer.pause());
    },
    resumeProducer: async (id, { mediaPeerId }) => {
      const producer = producerOf(id, mediaPeerId);
      await askMediasoup('resume', () => producer.resume());
    },
    producerStats: async (id, { mediaPeerId }) => {
      const producer = producerOf(id, mediaPeerId);
      return { stats: await askMediasoup('stats', () => producer.getStats()) };
    },
  };
}

type ReceivingSide = Omit<
  MediaNode,
  keyof FlowSteps | keyof PeersAndProducers | 'pipeState' | 'pipeDemand' | 'pipeRelease'
>;

function receivingSide(ctx: NodeContext): ReceivingSide {
  const { registry } = ctx;
  const consumerOf = (id: string, mediaPeerId: string | undefined) =>
    registry.consumer(id, mediaPeerId).consumer;

  return {
    createWebRtcTransport: async (routerId, body) =>
      (await createTransport(ctx, routerId, body)) as PeerResponse<'createWebRtcTransport'>,
    createPlainTransport: async (routerId, body) =>
      (await createTransport(ctx, routerId, body)) as PeerResponse<'createPlainTransport'>,
    connectTransport: (transportId, body) => connectTransport(ctx, transportId, body),
    restartIce: (transportId, { mediaPeerId }) => restartIce(ctx, transportId, mediaPeerId),
    transportStats: async (transportId, { mediaPeerId }) => {
      const { transport } = registry.transport(transportId, mediaPeerId);
      return {
        stats: await askMediasoup<Record<string, unknown>[]>('stats', () => transport.getStats()),
      };
    },
    pauseConsumers: (body) => eachConsumer(ctx, body, ({ consumer }) => consumer.pause()),
    resumeConsumers: (body) => eachConsumer(ctx, body, ({ consumer }) => consumer.resume()),
    setPreferredLayers: async (id, { mediaPeerId, spatialLayer, temporalLayer }) => {
      const consumer = consumerOf(id, mediaPeerId);
      await askMediasoup('layers', () =>
        consumer.setPreferredLayers({
          spatialLayer,
          ...(temporalLayer === undefined ? {} : { temporalLayer }),
        }),
      );
    },
    setPriority: async (id, { mediaPeerId, priority }) => {
      const consumer = consumerOf(id, mediaPeerId);
      await askMediasoup('priority', () => consumer.setPriority(priority));
    },
    requestKeyFrame: async (id, { mediaPeerId }) => {
      const consumer = consumerOf(id, mediaPeerId);
      await askMediasoup('requestKeyFrame', () => consumer.requestKeyFrame());
    },
    consumerStats: async (id, { mediaPeerId }) => {
      const consumer = consumerOf(id, mediaPeerId);
      return { stats: await askMediasoup('stats', () => consumer.getStats()) };
    },
    dataConsumerStats: async (id, { mediaPeerId }) => {
      const { consumer } = registry.dataConsumer(id, mediaPeerId);
      return { stats: await askMediasoup('stats', () => consumer.getStats()) };
    },
  };
}

/**
 * Acts on a peer's consumers. One that is gone does not keep the others from it; its peer is told once more that it is
 * closed, since the client may have heard of the two in the wrong order.
 *
 * @throws {ApiError} `consumer_not_found` when none of them is there
 */
async function eachConsumer(
  ctx: NodeContext,
  { consumerIds, mediaPeerId }: { consumerIds: string[]; mediaPeerId?: string | undefined },
  act: (live: LiveConsumer) => Promise<void>,
): Promise<void> {
  const ofPeer = (live: LiveConsumer | undefined): live is LiveConsumer =>
    live !== undefined &&
    (mediaPeerId === undefined || live.transport.peer.mediaPeerId === mediaPeerId);
  const live = consumerIds.map((id) => ctx.registry.consumers.get(id)).filter(ofPeer);
  const found = new Set(live.map(({ id }) => id));
  const peer =
    mediaPeerId === undefined ? undefined : ctx.registry.transportsOf(mediaPeerId)[0]?.peer;
  for (const consumerId of consumerIds)
    if (peer && !found.has(consumerId))
      tell(ctx, peer, { method: 'consumerClosed', data: { consumerId } });
  if (live.length === 0 && consumerIds.length > 0)
    throw new ApiError('consumer_not_found', `no consumer ${consumerIds.join(', ')}`);
  await Promise.all(live.map((consumer) => askMediasoup('consumer', () => act(consumer))));
}
