import { setTimeout as sleep } from 'node:timers/promises';

import type { RoomPeer } from '../../common/db/repositories/media.ts';
import { ApiError } from '../../common/errors.ts';
import type { NodeAddress } from '../../common/wire/media-node.ts';
import type { PeerInfo, PeerRequest, PeerResponse } from '../../common/wire/peer.ts';
import type { NodeContext } from '../context.ts';
import { receiverGone } from './consume.ts';
import type { Session } from './sessions.ts';

interface OwnedBy {
  producerId: string;
  owner: NodeAddress;
}

export const publicInfo = ({ peerId, displayName, device, remoteAddress }: RoomPeer): PeerInfo => ({
  peerId,
  displayName,
  device,
  remoteAddress,
});

/**
 * A join, in the steps of the flow: read who is connected, answer with the others, then have consumers made for all that
 * they publish, and tell them of the new peer. The steps cost the same number of statements and, for each node, of
 * calls, however many peers the room has. Repeating it gives the same answer and makes nothing twice.
 *
 * @throws {ApiError} `peer_not_found`, `store_unavailable`
 */
export async function join(
  ctx: NodeContext,
  session: Session,
  request: PeerRequest<'join'>,
): Promise<PeerResponse<'join'>> {
  const startedAt = Date.now();
  const endTotal = ctx.metrics.joinDuration.startTimer({ step: 'total' });
  const endAnswer = ctx.metrics.joinDuration.startTimer({ step: 'answer' });
  const { mediaPeerId, roomId } = session.binding;
  const others = await ctx.repository.joinPeer({ mediaPeerId, roomId }, request);
  if (!others || session.isClosed()) throw new ApiError('peer_not_found', 'the peer has left');
  const isFirst = !session.joined;
  session.joined = true;
  session.binding.displayName = request.displayName;
  session.binding.rtpCapabilities = request.rtpCapabilities ?? null;
  if (isFirst)
    // The answer goes out first.
    setImmediate(() =>
      ctx.background('join', async () => {
        const consumers = await afterAnswer(ctx, session, others, request);
        endTotal();
        const { peerId } = session.binding;
        const ms = Date.now() - startedAt;
        ctx.logger.info({ roomId, peerId, mediaPeerId, consumers, ms }, 'peer joined');
      }),
    );
  endAnswer();
  return { peers: others.map(publicInfo) };
}

/** @returns how many consumers were made */
async function afterAnswer(
  ctx: NodeContext,
  session: Session,
  others: RoomPeer[],
  request: PeerRequest<'join'>,
): Promise<number> {
  const consumed = consumeRoom(ctx, session);
  await Promise.race([
    // A failure is logged below; the others hear of the peer all the same.
    consumed.catch(() => undefined),
    sleep(ctx.config.join.announceAfterMs, undefined, { ref: false }),
  ]);
  announce(ctx, session, others, request);
  return consumed;
}

/**
 * Has consumers made for what the room publishes, media and data.
 *
 * @returns how many
 */
export async function consumeRoom(ctx: NodeContext, session: Session): Promise<number> {
  const { mediaPeerId, roomId, grants, kind } = session.binding;
  const { receivingTransportId: transportId } = session;
  if (session.isClosed() || kind !== 'WebSocket' || transportId === undefined) return 0;
  let count = 0;
  if (grants.subscribe && session.binding.rtpCapabilities !== null) {
    const end = ctx.metrics.joinDuration.startTimer({ step: 'consume' });
    const producers = await ctx.repository.producersOfRoom(roomId, mediaPeerId);
    await askOwners(session, producers, async (owner, producerIds) => {
      count += (await ctx.nodes.at(owner).consume(transportId, { producerIds })).consumers.length;
    });
    end();
  }
  if (grants.data) {
    const end = ctx.metrics.joinDuration.startTimer({ step: 'consume_data' });
    const producers = await ctx.repository.dataProducersOfRoom(roomId, mediaPeerId);
    await askOwners(session, producers, async (owner, dataProducerIds) => {
      const made = await ctx.nodes.at(owner).consumeData(transportId, { dataProducerIds });
      count += made.dataConsumers.length;
    });
    end();
  }
  return count;
}

/** One call for each node that has producers; one that fails does not keep the others from theirs. */
async function askOwners(
  session: Session,
  producers: OwnedBy[],
  ask: (owner: NodeAddress, producerIds: string[]) => Promise<unknown>,
): Promise<void> {
  if (session.isClosed()) return;
  const byOwner = new Map<string, { owner: NodeAddress; ids: string[] }>();
  for (const { producerId, owner } of producers) {
    const group = byOwner.get(owner.instanceId) ?? { owner, ids: [] };
    byOwner.set(owner.instanceId, group);
    group.ids.push(producerId);
  }
  const results = await Promise.allSettled(
    [...byOwner.values()].map(({ owner, ids }) => ask(owner, ids)),
  );
  for (const result of results)
    if (result.status === 'rejected' && !(session.isClosed() && receiverGone(result.reason)))
      throw result.reason;
}

/** Tells the others, with one request for each replica. From now on clients may hear of what the peer publishes. */
function announce(
  ctx: NodeContext,
  session: Session,
  others: RoomPeer[],
  { displayName, device }: PeerRequest<'join'>,
): void {
  if (!session.isClosed()) {
    const { peerId, remoteAddress, mediaPeerId: aboutMediaPeerId } = session.binding;
    const byReplica = Map.groupBy(others, ({ replicaUrl }) => replicaUrl);
    for (const [replicaUrl, peers] of byReplica)
      ctx.outbox.send(
        replicaUrl,
        { mediaPeerIds: peers.map(({ mediaPeerId }) => mediaPeerId) },
        { method: 'newPeer', data: { peer: { peerId, displayName, device, remoteAddress } } },
        aboutMediaPeerId,
      );
  }
  session.markAnnounced();
}
