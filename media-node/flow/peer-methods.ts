import type { PeerTransport } from '../../common/db/repositories/media.ts';
import { ApiError } from '../../common/errors.ts';
import type { NodeAddress, RouterAddress } from '../../common/wire/media-node.ts';
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
import { closePeerTransport, rebind, resumePeer } from './moves.ts';
import { mutePeer, produceDataPeer, producePeer } from './produce.ts';
import { producerRouterOf, type PeerName, type Session } from './sessions.ts';
import { consumerNode, consumersByNode, producerNode, transportNode } from './where.ts';

/** What is asked by name, whether or not this node has a session of the peer, or the one that it has is up to date. */
type NamedMethod = 'closeTransport' | 'rebind' | 'resumePeer';
export type NamedHandlers = {
  [M in NamedMethod]: (name: PeerName, data: PeerRequest<M>) => Promise<PeerResponse<M>>;
};
type Handlers = {
  [M in Exclude<PeerMethod, NamedMethod>]: (
    session: Session,
    data: PeerRequest<M>,
  ) => Promise<PeerResponse<M>>;
};

export const createNamedMethods = (ctx: NodeContext): NamedHandlers => ({
  closeTransport: (name, data) => closePeerTransport(ctx, name, data),
  rebind: (name) => rebind(ctx, name),
  resumePeer: (name, data) => resumePeer(ctx, name, data),
});

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
  | 'createPlainTransport'
  | 'connectPlainTransport';

function transports(ctx: NodeContext): Pick<Handlers, TransportMethods> {
  /** Where a side's new transports are made. A side that is bound to none is to be bound first, as if its router were gone. */
  const sideOf = ({ binding }: Session, direction: Direction): RouterAddress => {
    const side = direction === 'producer' ? binding.producerRouter : binding.consumerRouter;
    if (!side) throw new ApiError('router_not_found', `the peer has no ${direction} router now`);
    return side;
  };

  return {
    getRouterRtpCapabilities: (session) =>
      Promise.resolve({
        routerRtpCapabilities: producerRouterOf(ctx, session).router.rtpCapabilities,
      }),
    async createWebRtcTransport(session, { direction, forceTcp }) {
      const { node, routerId } = sideOf(session, direction);
      const peer = session.ref;
      const made = await ctx.nodes.at(node).createWebRtcTransport(routerId, {
        kind: 'webrtc',
        peer,
        direction,
        forceTcp,
      });
      if (direction === 'producer') return made;
      await receiveOn(ctx, session, { transportId: made.transportId, direction, node });
      return made;
    },
    async connectWebRtcTransport(session, { transportId, dtlsParameters }) {
      const node = await transportNode(ctx, session, transportId);
      return done(node.connectTransport(transportId, { ...forPeer(session), dtlsParameters }));
    },
    restartIce: async (session, { transportId }) =>
      (await transportNode(ctx, session, transportId)).restartIce(transportId, forPeer(session)),
    async createPlainTransport(session, { direction, comedia, rtcpMux }) {
      const { node, routerId } = sideOf(session, direction);
      const peer = session.ref;
      const made = await ctx.nodes.at(node).createPlainTransport(routerId, {
        kind: 'plain',
        peer,
        direction,
        comedia,
        rtcpMux,
      });
      if (direction === 'consumer')
        session.setNewest({ transportId: made.transportId, direction, node });
      return made;
    },
    async connectPlainTransport(session, { transportId, ...address }) {
      const node = await transportNode(ctx, session, transportId);
      return done(node.connectTransport(transportId, { ...forPeer(session), ...address }));
    },
  };
}

/**
 * Has the peer's consumers made on this transport from now on. One that is made after the join watches the room like one
 * that was there before. An earlier one that was not used, on a node that the peer moves back to, is the newest again.
 */
async function receiveOn(
  ctx: NodeContext,
  session: Session,
  transport: PeerTransport,
): Promise<void> {
  const { transportId } = transport;
  if (session.receivingTransportId === transportId) return;
  if (session.receiving.some((known) => known.transportId === transportId))
    await ctx.repository.renewTransport(transportId);
  session.setNewest(transport);
  if (session.joined) ctx.background('consume the room', () => consumeRoom(ctx, session));
}

type PublishingMethods =
  'produce' | 'produceData' | 'closeProducer' | 'pauseProducer' | 'resumeProducer';

function publishing(ctx: NodeContext, flow: ConsumeFlow): Pick<Handlers, PublishingMethods> {
  const node = (session: Session, producerId: string) => producerNode(ctx, session, producerId);
  return {
    produce: (session, data) => producePeer(ctx, flow, session, data),
    produceData: (session, data) => produceDataPeer(ctx, flow, session, data),
    closeProducer: async (session, { producerId }) =>
      done((await node(session, producerId)).closeProducer(producerId, forPeer(session))),
    pauseProducer: async (session, { producerId }) =>
      done((await node(session, producerId)).pauseProducer(producerId, forPeer(session))),
    resumeProducer: async (session, { producerId }) =>
      done((await node(session, producerId)).resumeProducer(producerId, forPeer(session))),
  };
}

type WatchingMethods =
  | 'pauseConsumers'
  | 'resumeConsumers'
  | 'requestConsumerKeyFrame'
  | 'setConsumerPreferredLayers'
  | 'setConsumerPriority';

function watching(ctx: NodeContext): Pick<Handlers, WatchingMethods> {
  const node = (session: Session, consumerId: string) => consumerNode(ctx, session, consumerId);
  const onEachNode = async (
    session: Session,
    ids: string[],
    act: (node: MediaNode, consumerIds: string[]) => Promise<unknown>,
  ): Promise<Record<string, never>> => {
    const byNode = await consumersByNode(ctx, session, ids);
    return done(Promise.all([...byNode].map(([at, consumerIds]) => act(at, consumerIds))));
  };
  return {
    pauseConsumers: (session, { consumerIds: all }) =>
      onEachNode(session, all, (at, consumerIds) =>
        at.pauseConsumers({ ...forPeer(session), consumerIds }),
      ),
    resumeConsumers: (session, { consumerIds: all }) =>
      onEachNode(session, all, (at, consumerIds) =>
        at.resumeConsumers({ ...forPeer(session), consumerIds }),
      ),
    requestConsumerKeyFrame: async (session, { consumerId }) =>
      done((await node(session, consumerId)).requestKeyFrame(consumerId, forPeer(session))),
    setConsumerPreferredLayers: async (session, { consumerId, ...layers }) =>
      done(
        (await node(session, consumerId)).setPreferredLayers(consumerId, {
          ...forPeer(session),
          ...layers,
        }),
      ),
    setConsumerPriority: async (session, { consumerId, priority }) =>
      done(
        (await node(session, consumerId)).setPriority(consumerId, {
          ...forPeer(session),
          priority,
        }),
      ),
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
    getTransportStats: async (session, { transportId }) =>
      (await transportNode(ctx, session, transportId)).transportStats(
        transportId,
        forPeer(session),
      ),
    getProducerStats: async (session, { producerId }) =>
      (await producerNode(ctx, session, producerId)).producerStats(producerId, forPeer(session)),
    getDataProducerStats: async (session, { dataProducerId }) => ({
      stats: await askMediasoup('stats', () =>
        registry
          .dataProducer(dataProducerId, session.binding.mediaPeerId)
          .source.producer.getStats(),
      ),
    }),
    getConsumerStats: async (session, { consumerId }) =>
      (await consumerNode(ctx, session, consumerId)).consumerStats(consumerId, forPeer(session)),
    getDataConsumerStats: async (session, { dataConsumerId }) =>
      (await consumerNode(ctx, session, dataConsumerId)).dataConsumerStats(
        dataConsumerId,
        forPeer(session),
      ),
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
