import { ApiError, isApiError } from '../../common/errors.ts';
import type { PeerRequest, PeerResponse } from '../../common/wire/peer.ts';
import { tell, type NodeContext } from '../context.ts';
import type { LiveTransport } from '../mediasoup/objects.ts';
import { produce, produceData } from '../mediasoup/producers.ts';
import type { ConsumeFlow, Offer } from './consume.ts';
import type { Session } from './sessions.ts';

/** The transport that the peer publishes on. */
function sendingTransport(ctx: NodeContext, session: Session, transportId: string): LiveTransport {
  const transport = ctx.registry.transport(transportId, session.binding.mediaPeerId);
  if (transport.direction !== 'producer')
    throw new ApiError('invalid_request', 'transportId: not a transport to publish on', {
      fields: [{ field: 'transportId', message: 'not a transport to publish on' }],
    });
  return transport;
}

/**
 * Publishes, and after the answer offers it to the room. The row exists before the room's peers are read, as a joining
 * peer is marked before it reads the producers: one of the two sees the other, whatever the order.
 *
 * @throws {ApiError} `not_joined`, `forbidden`, `transport_not_found`, `invalid_request`, `store_unavailable`
 */
export async function producePeer(
  ctx: NodeContext,
  flow: ConsumeFlow,
  session: Session,
  { transportId, ...request }: PeerRequest<'produce'>,
): Promise<PeerResponse<'produce'>> {
  session.requireJoined();
  session.requireGrant('publish');
  const transport = sendingTransport(ctx, session, transportId);
  await requireOwn(ctx, session, request.replaces);
  const { producer, isNew } = await produce(ctx, transport, request);
  if (isNew) offerLater(ctx, flow, session, { producers: [producer], dataProducers: [] });
  return { producerId: producer.id };
}

/** The same for data. */
export async function produceDataPeer(
  ctx: NodeContext,
  flow: ConsumeFlow,
  session: Session,
  { transportId, ...request }: PeerRequest<'produceData'>,
): Promise<PeerResponse<'produceData'>> {
  session.requireJoined();
  session.requireGrant('data');
  const transport = sendingTransport(ctx, session, transportId);
  await requireOwn(ctx, session, request.replaces);
  const { producer, isNew } = await produceData(ctx, transport, request);
  if (isNew) offerLater(ctx, flow, session, { producers: [], dataProducers: [producer] });
  return { dataProducerId: producer.id };
}

function offerLater(ctx: NodeContext, flow: ConsumeFlow, session: Session, offer: Offer): void {
  const { roomId, mediaPeerId } = session.binding;
  setImmediate(() =>
    ctx.background('produce: offer', () => flow.offerToRoom(roomId, mediaPeerId, offer)),
  );
}

/** Moderation: pauses what the peer publishes of these sources, on all nodes that it publishes to, and tells it so. */
export async function mutePeer(
  ctx: NodeContext,
  session: Session,
  sources: string[],
): Promise<PeerResponse<'mutePeer'>> {
  const { mediaPeerId } = session.binding;
  const muted = [...ctx.registry.producers.values()].filter(
    ({ transport, source }) =>
      transport.peer.mediaPeerId === mediaPeerId && isOfSources(source, sources),
  );
  await Promise.all(muted.map(({ source }) => source.producer.pause()));
  const elsewhere = await muteElsewhere(ctx, session, sources);
  const producerIds = [...muted.map(({ id }) => id), ...elsewhere];
  for (const producerId of producerIds)
    tell(ctx, session.ref, { method: 'producerMuted', data: { producerId } });
  return { producerIds };
}

const isOfSources = ({ appData }: { appData: Record<string, unknown> }, sources: string[]) =>
  sources.length === 0 || sources.includes(String(appData['source']));

/** A peer that moves publishes on the node before, too, until it has closed that. */
async function muteElsewhere(
  ctx: NodeContext,
  { binding: { mediaPeerId } }: Session,
  sources: string[],
): Promise<string[]> {
  const producers = await ctx.repository.producersOfPeer(mediaPeerId);
  const others = producers.filter(
    (producer) =>
      producer.owner.instanceId !== ctx.self.instanceId && isOfSources(producer, sources),
  );
  await Promise.all(
    others.map(({ owner, producerId }) =>
      ctx.nodes.at(owner).pauseProducer(producerId, { mediaPeerId }).catch(ignoreGone),
    ),
  );
  return others.map(({ producerId }) => producerId);
}

function ignoreGone(error: unknown): void {
  if (!isApiError(error, 'producer_not_found', 'instance_mismatch')) throw error;
}

/** Nobody takes the place of another peer's producer in its watchers' eyes. One that is gone is nobody's. */
async function requireOwn(
  ctx: NodeContext,
  { binding }: Session,
  replaces: string | undefined,
): Promise<void> {
  if (replaces === undefined) return;
  const owner = (await ctx.repository.peersOfProducers([replaces])).get(replaces);
  if (owner === undefined || owner === binding.mediaPeerId) return;
  throw new ApiError('invalid_request', 'replaces: not a producer of this peer', {
    fields: [{ field: 'replaces', message: 'not a producer of this peer' }],
  });
}
