import { ApiError } from '../../common/errors.ts';
import type { NodeContext } from '../context.ts';
import type { MediaNode } from '../nodes/nodes.ts';
import { nodeOfTransport } from './moves.ts';
import { receivingNodes, type Session } from './sessions.ts';

/**
 * Where a peer's objects are. A peer publishes to one node and watches from one; while it moves it has, for a while, one
 * more on the side that moves, and what is said of an object must reach the node that has it.
 */

/** The node that has one of the peer's transports. @throws {ApiError} `transport_not_found`, `store_unavailable` */
export async function transportNode(
  ctx: NodeContext,
  session: Session,
  transportId: string,
): Promise<MediaNode> {
  const receiving = session.receiving.find((one) => one.transportId === transportId);
  if (receiving) return ctx.nodes.at(receiving.node);
  const node = await nodeOfTransport(ctx, session.binding.mediaPeerId, transportId);
  if (!node) throw new ApiError('transport_not_found', `no transport ${transportId}`);
  return node;
}

/** The node that has what the peer publishes. @throws {ApiError} `producer_not_found`, `store_unavailable` */
export async function producerNode(
  ctx: NodeContext,
  { binding }: Session,
  producerId: string,
): Promise<MediaNode> {
  if (ctx.registry.producers.has(producerId)) return ctx.nodes.at(ctx.self);
  const producers = await ctx.repository.producersOfPeer(binding.mediaPeerId);
  const found = producers.find((producer) => producer.producerId === producerId);
  if (!found) throw new ApiError('producer_not_found', `no producer ${producerId}`);
  return ctx.nodes.at(found.owner);
}

/**
 * The peer's consumers and data consumers by the node that has them. What nobody knows is for the newest one to deny.
 *
 * @throws {ApiError} `room_not_ready` when the peer's watching side is bound to no router; `store_unavailable`
 */
export async function consumersByNode(
  ctx: NodeContext,
  session: Session,
  consumerIds: string[],
): Promise<Map<MediaNode, string[]>> {
  const nodes = receivingNodes(session);
  const newest = nodes.at(-1) ?? ctx.self;
  const found =
    nodes.length > 1
      ? await ctx.repository.nodesOfConsumers(consumerIds)
      : new Map<string, never>();
  return Map.groupBy(consumerIds, (id) => ctx.nodes.at(found.get(id) ?? newest));
}

/** The node that has one of the peer's consumers. Throws as {@link consumersByNode} does. */
export async function consumerNode(
  ctx: NodeContext,
  session: Session,
  consumerId: string,
): Promise<MediaNode> {
  const [node] = (await consumersByNode(ctx, session, [consumerId])).keys();
  return node ?? ctx.nodes.at(ctx.self);
}
