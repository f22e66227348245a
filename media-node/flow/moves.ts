import { isApiError } from '../../common/errors.ts';
import type { NodeAddress } from '../../common/wire/media-node.ts';
import type { PeerRequest, PeerResponse } from '../../common/wire/peer.ts';
import type { NodeContext } from '../context.ts';
import type { MediaNode } from '../nodes/nodes.ts';
import { publicInfo } from './join.ts';
import type { PeerName } from './sessions.ts';

/** Whoever does not answer so has nothing of the peer any more, or will not have soon. */
const nodeGone = (error: unknown): boolean =>
  isApiError(error, 'instance_mismatch', 'node_unavailable', 'timed_out');

/**
 * Closes one of the peer's transports, on whatever node it is: the one that a move has left behind is on a node that is no
 * more of the peer's two. Repeatable. A node that can't be reached is taken for gone: one that is not loses the
 * transport's ICE connection, since the client has closed its end.
 *
 * @throws {ApiError} `transport_not_found` for another peer's; `store_unavailable` when it is not on this node
 */
export async function closePeerTransport(
  ctx: NodeContext,
  { mediaPeerId }: PeerName,
  { transportId }: PeerRequest<'closeTransport'>,
): Promise<PeerResponse<'closeTransport'>> {
  const node = await nodeOfTransport(ctx, mediaPeerId, transportId);
  await node?.closeTransport(transportId, { mediaPeerId }).catch((error: unknown) => {
    if (!nodeGone(error)) throw error;
  });
  const session = await ctx.sessions.find(mediaPeerId)?.catch(() => undefined);
  session?.forgetReceiving(transportId);
  return {};
}

/** The node that has one of the peer's transports; undefined when it is gone. */
export async function nodeOfTransport(
  ctx: NodeContext,
  mediaPeerId: string,
  transportId: string,
): Promise<MediaNode | undefined> {
  if (ctx.registry.transports.has(transportId)) return ctx.nodes.at(ctx.self);
  const transports = await ctx.repository.transportsOfPeer(mediaPeerId);
  const found = transports.find((transport) => transport.transportId === transportId);
  return found && ctx.nodes.at(found.node);
}

/** A side of the peer is bound anew: what is known of it is read again. @throws {ApiError} as `Sessions.get` does */
export async function rebind(ctx: NodeContext, name: PeerName): Promise<PeerResponse<'rebind'>> {
  await ctx.sessions.renew(name);
  return {};
}

/**
 * The peer's client is on another socket, maybe at another replica. Every node that has something of the peer sends its
 * messages there from now on, and says what lives: after that, nothing that the old socket has missed is missing. A node
 * that can't be reached counts as having nothing. Repeatable.
 *
 * @throws {ApiError} as `Sessions.get` does
 */
export async function resumePeer(
  ctx: NodeContext,
  name: PeerName,
  known: PeerRequest<'resumePeer'>,
): Promise<PeerResponse<'resumePeer'>> {
  const { mediaPeerId, roomId } = name;
  const { binding } = await ctx.sessions.renew(name);
  const [others, transports] = await Promise.all([
    ctx.repository.othersOfRoom({ mediaPeerId, roomId }),
    ctx.repository.transportsOfPeer(mediaPeerId),
  ]);
  const request = { ...known, replicaUrl: binding.replicaUrl };
  const nodes = distinct([ctx.self, ...transports.map(({ node }) => node)]);
  const held = await Promise.all(
    nodes.map((node) =>
      ctx.nodes
        .at(node)
        .putPeer(mediaPeerId, request)
        .catch((error: unknown) => {
          if (!nodeGone(error)) throw error;
          return undefined;
        }),
    ),
  );
  const all = held.filter((holding) => holding !== undefined);
  return {
    peers: others.map(publicInfo),
    transportIds: all.flatMap(({ transportIds }) => transportIds),
    producerIds: all.flatMap(({ producerIds }) => producerIds),
    dataProducerIds: all.flatMap(({ dataProducerIds }) => dataProducerIds),
    consumerIds: all.flatMap(({ consumerIds }) => consumerIds),
    dataConsumerIds: all.flatMap(({ dataConsumerIds }) => dataConsumerIds),
    newConsumers: all.flatMap(({ newConsumers }) => newConsumers),
    newDataConsumers: all.flatMap(({ newDataConsumers }) => newDataConsumers),
    pausedConsumerIds: all.flatMap(({ pausedConsumerIds }) => pausedConsumerIds),
  };
}

const distinct = (nodes: NodeAddress[]): NodeAddress[] => [
  ...new Map(nodes.map((node) => [node.instanceId, node])).values(),
];
