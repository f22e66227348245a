import type { NewPeer, PeerRow, RemovedRow } from '../../common/db/repositories/peers.ts';
import { ApiError, isApiError, messageOf } from '../../common/errors.ts';
import type { MediaRoom } from '../../common/resources/types.ts';
import { closeCodes } from '../connection/close-codes.ts';
import type { Services } from '../services.ts';
import { chooseRouters, type ChosenRouters } from './choose.ts';

export type BindDeps = Pick<
  Services,
  | 'config'
  | 'logger'
  | 'peers'
  | 'placements'
  | 'registry'
  | 'bindings'
  | 'hastyOthers'
  | 'leaver'
  | 'membership'
>;

export type BoundPeer = Omit<NewPeer, 'replicaId' | 'roomId'>;

/** Closes the socket of a connection that another one took the place of, wherever it is. */
async function closeReplaced(deps: BindDeps, row: PeerRow): Promise<void> {
  if (row.kind === 'Broadcaster') return;
  const request = { code: closeCodes.forGood, reason: 'the peer has connected again' };
  const local = deps.registry.get(row.id);
  if (local) local.close(request.code, request.reason);
  else if (row.replicaId !== deps.membership.id)
    await deps.hastyOthers
      .closePeer(row.replicaUrl, row.id, request)
      .catch((error: unknown) =>
        deps.logger.warn({ reason: messageOf(error) }, 'an older connection was not closed'),
      );
}

/** What fails here does not undo the newer connection, which is written already. */
async function endReplaced(deps: BindDeps, row: RemovedRow): Promise<void> {
  // Nobody waits for the older connection's replica, which may be dead.
  void closeReplaced(deps, row);
  await deps.leaver
    .replaced(row)
    .catch((error: unknown) =>
      deps.logger.warn({ reason: messageOf(error) }, 'a room was not told of a replaced peer'),
    );
}

/**
 * Bindings of one room go one after another in the tables. They wait here and not for the lock there, where each of them
 * would hold a connection of the pool. Whose client has given up meanwhile needs none.
 */
function inTurn<T>(deps: BindDeps, roomName: string, work: () => Promise<T>): Promise<T> {
  const lastAt = Date.now() + deps.config.websocket.joinTimeoutMs;
  return deps.bindings.run(roomName, () => {
    if (Date.now() > lastAt)
      throw new ApiError('timed_out', `too many peers connect to room ${roomName} at once`);
    return work();
  });
}

async function write(deps: BindDeps, room: MediaRoom, peer: BoundPeer) {
  let chosen: ChosenRouters | undefined;
  const replaced = await deps.peers.bind({
    peer: { ...peer, roomId: room.metadata.name, replicaId: deps.membership.id },
    maxPeers: room.spec.maxPeers,
    choose: (counts) => {
      chosen = chooseRouters(room, counts);
      return {
        producerRouterId: chosen.producer.routerId,
        consumerRouterId: chosen.consumer.routerId,
      };
    },
  });
  if (!chosen) throw new Error('bound without routers');
  return { chosen, replaced };
}

/**
 * Writes a peer's connection into the tables, bound to one producer and one consumer router, and ends an earlier
 * connection of the same peer. When it resolves, the others in the room know that the earlier one is gone, if they could
 * be told in little time.
 *
 * @throws {ApiError} `room_full`, `room_not_ready`, `store_unavailable`, `timed_out`
 */
export async function bindPeer(
  deps: BindDeps,
  room: MediaRoom,
  peer: BoundPeer,
): Promise<ChosenRouters> {
  const roomName = room.metadata.name;
  try {
    const { chosen, replaced } = await inTurn(deps, roomName, () => write(deps, room, peer));
    if (replaced) await endReplaced(deps, replaced);
    return chosen;
  } catch (error) {
    // Postgres may have written the row, and only its answer was lost.
    if (isApiError(error, 'store_unavailable'))
      void deps.leaver.leave({
        mediaPeerId: peer.id,
        roomName,
        peerId: peer.peerId,
        joined: false,
        nodeUrls: [],
      });
    // The row that is missing may be this replica's own.
    if (isApiError(error, 'room_not_ready')) deps.membership.checkNow();
    throw error;
  }
}
