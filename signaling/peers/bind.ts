import type { NewPeer, PeerRow } from '../../common/db/repositories/peers.ts';
import { isApiError, messageOf } from '../../common/errors.ts';
import type { MediaRoom } from '../../common/resources/types.ts';
import { closeCodes } from '../connection/close-codes.ts';
import type { Services } from '../services.ts';
import { chooseRouters, type ChosenRouters } from './choose.ts';

export type BindDeps = Pick<
  Services,
  'logger' | 'peers' | 'placements' | 'registry' | 'others' | 'leaver' | 'membership'
>;

export type BoundPeer = Omit<NewPeer, 'replicaId' | 'roomId'>;

/** Closes the socket of a connection that another one took the place of, wherever it is. */
async function closeReplaced(deps: BindDeps, row: PeerRow): Promise<void> {
  if (row.kind === 'Broadcaster') return;
  const request = { code: closeCodes.forGood, reason: 'the peer has connected again' };
  const local = deps.registry.get(row.id);
  if (local) local.close(request.code, request.reason);
  else if (row.replicaId !== deps.membership.id)
    await deps.others
      .closePeer(row.replicaUrl, row.id, request)
      .catch((error: unknown) =>
        deps.logger.warn({ reason: messageOf(error) }, 'an older connection was not closed'),
      );
}

/** What fails here does not undo the newer connection, which is written already. */
async function endReplaced(deps: BindDeps, row: PeerRow): Promise<void> {
  const told = deps.leaver
    .replaced(row)
    .catch((error: unknown) =>
      deps.logger.warn({ reason: messageOf(error) }, 'a room was not told of a replaced peer'),
    );
  await Promise.all([told, closeReplaced(deps, row)]);
}

/**
 * Writes a peer's connection into the tables, bound to one producer and one consumer router, and ends an earlier
 * connection of the same peer. When it resolves, the others in the room know that the earlier one is gone.
 *
 * @throws {ApiError} `room_full`, `room_not_ready`, `store_unavailable`
 */
export async function bindPeer(
  deps: BindDeps,
  room: MediaRoom,
  peer: BoundPeer,
): Promise<ChosenRouters> {
  const { peers, leaver, membership } = deps;
  let chosen: ChosenRouters | undefined;
  try {
    const replaced = await peers.bind({
      peer: { ...peer, roomId: room.metadata.name, replicaId: membership.id },
      maxPeers: room.spec.maxPeers,
      choose: (counts) => {
        chosen = chooseRouters(room, counts);
        return {
          producerRouterId: chosen.producer.routerId,
          consumerRouterId: chosen.consumer.routerId,
        };
      },
    });
    if (replaced) await endReplaced(deps, replaced);
  } catch (error) {
    // Postgres may have written the row, and only its answer was lost.
    if (isApiError(error, 'store_unavailable'))
      void leaver.leave({
        mediaPeerId: peer.id,
        roomName: room.metadata.name,
        peerId: peer.peerId,
        joined: false,
        nodeUrls: [],
      });
    // The row that is missing may be this replica's own.
    if (isApiError(error, 'room_not_ready')) membership.checkNow();
    throw error;
  }
  if (!chosen) throw new Error('bound without routers');
  return chosen;
}
