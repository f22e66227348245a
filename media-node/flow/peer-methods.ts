import { ApiError } from '../../common/errors.ts';
import type { NodeAddress } from '../../common/wire/media-node.ts';
import type {
  ConsumerInfo,
  Direction,
  PeerMethod,
  PeerRequest,
  PeerResponse,
} from '../../common/wire/peer.ts';
import type { NodeContext } from '../context.ts';
import { askMediasoup } from '../mediasoup/errors.ts';
import type { MediaNode } from '../nodes/nodes.ts';
import type { ConsumeFlow } from './consume.ts';
import { consumeRoom, join } from './join.ts';
import { closeProducer, mutePeer, produceDataPeer, producePeer } from './produce.ts';
import { consumerNodeOf, producerRouterOf, type Session } from './sessions.ts';

type Handlers = {
  [M in PeerMethod]: (session: Session, data: PeerRequest<M>) => Promise<PeerResponse<M>>;
};

/**
 * What a peer may ask of its producer service. What lives on its sending side is here; what lives on its receiving side
 * is asked of its consumer service, which may be this node too.
 */
export function createPeerMethods(ctx: NodeContext, flow: ConsumeFlow): Handlers {
  return {
    ...transports(ctx),
    ...publishing(ctx, flow),
    ...watching(ctx),
    ...statistics(ctx),
    join: (session, data) => join(ctx, session, data),
    changeDisplayName: (session, { displayName }) => changeDisplayName(ctx, session, displayName),
    mutePeer: (session, { sources }) => mutePeer(ctx, session, sources),
    getPeerProducersInfos: (session) => producersInfos(ctx, session),
    consume: (session, data) => consumeOnRequest(ctx, session, data),
  };
}

const notYet = () => new ApiError('unsupported_method', 'not yet');
const nothing = Promise.resolve({});
const done = async (work: Promise<unknown>): Promise<Record<string, never>> => {
  await work;
  return {};
};
const forPeer = ({ binding }: Session) => ({ mediaPeerId: binding.mediaPeerId });

type TransportMethods =
  | 'getRouterRtpCapabilities'
  | 'createWebRtcTransport'
  | 'connectWebRtcTransport'
  | 'restartIce'
  | 'closeTransport'
  | 'rebind'
  | 'resumePeer'
  | 'createPlainTransport'
  | 'connectPlainTransport';

function transports(ctx: NodeContext): Pick<Handlers, TransportMethods> {
  /** The node that a transport is on: this one, or else the peer's consumer service. */
  const nodeOf = (session: Session, transportId: string): MediaNode =>
    ctx.registry.transports.has(transportId)
      ? ctx.nodes.at(ctx.self)
      : consumerNodeOf(ctx, session);
  const sideOf = (session: Session, direction: Direction): { node: MediaNode; routerId: string } =>
    direction === 'producer'
      ? { node: ctx.nodes.at(ctx.self), routerId: producerRouterOf(ctx, session).id }
      : {
          node: consumerNodeOf(ctx, session),
          routerId: session.binding.consumerRouter.routerId,
        };

  return {
    getRouterRtpCapabilities: (session) =>
      Promise.resolve({
        routerRtpCapabilities: producerRouterOf(ctx, session).router.rtpCapabilities,
      }),
    async createWebRtcTransport(session, { direction, forceTcp }) {
      const { node, routerId } = sideOf(session, direction);
      const peer = session.ref;
      const made = await node.createWebRtcTransport(routerId, {
        kind: 'webrtc',
        peer,
        direction,
        forceTcp,
      });
      if (direction === 'producer') return made;
      const isOther = session.receivingTransportId !== made.transportId;
      session.receivingTransportId = made.transportId;
      // One that is made after the join watches the room like one that was there before.
      if (isOther && session.joined)
        ctx.background('consume the room', () => consumeRoom(ctx, session));
      return made;
    },
    connectWebRtcTransport: (session, { transportId, dtlsParameters }) =>
      done(
        nodeOf(session, transportId).connectTransport(transportId, {
          ...forPeer(session),
          dtlsParameters,
        }),
      ),
    restartIce: (session, { transportId }) =>
      nodeOf(session, transportId).restartIce(transportId, forPeer(session)),
    closeTransport: () => Promise.reject(notYet()),
    rebind: () => Promise.reject(notYet()),
    resumePeer: () => Promise.reject(notYet()),
    createPlainTransport(session, { direction, comedia, rtcpMux }) {
      const { node, routerId } = sideOf(session, direction);
      const peer = session.ref;
      return node.createPlainTransport(routerId, {
        kind: 'plain',
        peer,
        direction,
        comedia,
        rtcpMux,
      });
    },
    connectPlainTransport: (session, { transportId, ...address }) =>
      done(
        nodeOf(session, transportId).connectTransport(transportId, {
          ...forPeer(session),
          ...address,
        }),
      ),
  };
}

type PublishingMethods =
  'produce' | 'produceData' | 'closeProducer' | 'pauseProducer' | 'resumeProducer';

function publishing(ctx: NodeContext, flow: ConsumeFlow): Pick<Handlers, PublishingMethods> {
  const producerOf = ({ binding }: Session, producerId: string) =>
    ctx.registry.producer(producerId, binding.mediaPeerId).source.producer;
  return {
    produce: (session, data) => producePeer(ctx, flow, session, data),
    produceData: (session, data) => produceDataPeer(ctx, flow, session, data),
    closeProducer: (session, { producerId }) => done(closeProducer(ctx, session, producerId)),
    pauseProducer: async (session, { producerId }) =>
      done(askMediasoup('pause', () => producerOf(session, producerId).pause())),
    resumeProducer: async (session, { producerId }) =>
      done(askMediasoup('resume', () => producerOf(session, producerId).resume())),
  };
}

type WatchingMethods =
  | 'pauseConsumers'
  | 'resumeConsumers'
  | 'requestConsumerKeyFrame'
  | 'setConsumerPreferredLayers'
  | 'setConsumerPriority';

function watching(ctx: NodeContext): Pick<Handlers, WatchingMethods> {
  const node = (session: Session): MediaNode => consumerNodeOf(ctx, session);
  return {
    pauseConsumers: (session, { consumerIds }) =>
      done(node(session).pauseConsumers({ ...forPeer(session), consumerIds })),
    resumeConsumers: (session, { consumerIds }) =>
      done(node(session).resumeConsumers({ ...forPeer(session), consumerIds })),
    requestConsumerKeyFrame: (session, { consumerId }) =>
      done(node(session).requestKeyFrame(consumerId, forPeer(session))),
    setConsumerPreferredLayers: (session, { consumerId, ...layers }) =>
      done(node(session).setPreferredLayers(consumerId, { ...forPeer(session), ...layers })),
    setConsumerPriority: (session, { consumerId, priority }) =>
      done(node(session).setPriority(consumerId, { ...forPeer(session), priority })),
  };
}

type StatisticsMethods =
  | 'getTransportStats'
  | 'getProducerStats'
  | 'getConsumerStats'
  | 'getDataProducerStats'
  | 'getDataConsumerStats';

function statistics(ctx: NodeContext): Pick<Handlers, StatisticsMethods> {
  const { registry } = ctx;
  return {
    getTransportStats: (session, { transportId }) =>
      (registry.transports.has(transportId)
        ? ctx.nodes.at(ctx.self)
        : consumerNodeOf(ctx, session)
      ).transportStats(transportId, forPeer(session)),
    getProducerStats: async (session, { producerId }) => ({
      stats: await askMediasoup('stats', () =>
        registry.producer(producerId, session.binding.mediaPeerId).source.producer.getStats(),
      ),
    }),
    getDataProducerStats: async (session, { dataProducerId }) => ({
      stats: await askMediasoup('stats', () =>
        registry
          .dataProducer(dataProducerId, session.binding.mediaPeerId)
          .source.producer.getStats(),
      ),
    }),
    getConsumerStats: (session, { consumerId }) =>
      consumerNodeOf(ctx, session).consumerStats(consumerId, forPeer(session)),
    getDataConsumerStats: (session, { dataConsumerId }) =>
      consumerNodeOf(ctx, session).dataConsumerStats(dataConsumerId, forPeer(session)),
  };
}

async function changeDisplayName(
  ctx: NodeContext,
  session: Session,
  displayName: string,
): Promise<PeerResponse<'changeDisplayName'>> {
  session.requireJoined();
  const { mediaPeerId, peerId, roomId, displayName: oldDisplayName } = session.binding;
  await ctx.repository.renamePeer(mediaPeerId, displayName);
  session.binding.displayName = displayName;
  for (const replicaUrl of await ctx.replicas.now(roomId))
    ctx.outbox.send(
      replicaUrl,
      { roomId, exceptMediaPeerId: mediaPeerId },
      {
        method: 'peerDisplayNameChanged',
        data: { peerId, displayName, oldDisplayName },
      },
    );
  return nothing;
}

async function producersInfos(
  ctx: NodeContext,
  { binding }: Session,
): Promise<PeerResponse<'getPeerProducersInfos'>> {
  const producers = await ctx.repository.producersOfRoom(binding.roomId, binding.mediaPeerId);
  const byPeer = Map.groupBy(producers, ({ peerId }) => peerId);
  return {
    peerProducersInfos: [...byPeer].map(([peerId, ofPeer]) => ({
      peerId,
      producers: ofPeer.map(({ producerId, kind, appData }) => ({ producerId, kind, appData })),
    })),
  };
}

/** A broadcaster names what it wants to receive; the producer's owner runs the flow. */
async function consumeOnRequest(
  ctx: NodeContext,
  session: Session,
  { transportId, producerId, rtpCapabilities }: PeerRequest<'consume'>,
): Promise<ConsumerInfo> {
  session.requireJoined();
  session.requireGrant('subscribe');
  const receiver = await ctx.repository.findReceiver(transportId);
  if (receiver?.mediaPeerId !== session.binding.mediaPeerId)
    throw new ApiError('transport_not_found', `no receiving transport ${transportId}`);
  const owner = await ownerOf(ctx, session, producerId);
  const { consumers } = await ctx.nodes.at(owner).consume(transportId, {
    producerIds: [producerId],
    ...(rtpCapabilities ? { rtpCapabilities } : {}),
  });
  const [consumer] = consumers;
  if (!consumer)
    throw new ApiError('cannot_consume', 'the producer can’t be consumed with these capabilities');
  return consumer;
}

async function ownerOf(
  ctx: NodeContext,
  { binding }: Session,
  producerId: string,
): Promise<NodeAddress> {
  const producers = await ctx.repository.producersOfRoom(binding.roomId, binding.mediaPeerId);
  const found = producers.find((producer) => producer.producerId === producerId);
  if (!found) throw new ApiError('producer_not_found', `no producer ${producerId} in the room`);
  return found.owner;
}
