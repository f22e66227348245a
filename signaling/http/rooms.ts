import { ApiError } from '../../common/errors.ts';
import { findCondition } from '../../common/resources/conditions.ts';
import type { MediaRoom } from '../../common/resources/types.ts';
import type { PeerRow } from '../../common/db/repositories/peers.ts';
import { messageOf } from '../../common/errors.ts';
import { authorizeAdmin } from '../auth/authorize.ts';
import { closeCodes } from '../connection/close-codes.ts';
import { isRoomReady, roomIdOf } from '../placement/placements.ts';
import { roomIdAnnotation, roomNameOf } from '../placement/room-name.ts';
import type { Services } from '../services.ts';
import { createConsole } from './console.ts';
import type { roomsSpec } from './rooms-spec.ts';
import { type RoomView } from './rooms-spec.ts';
import type { Handlers } from './route.ts';

function roomView(room: MediaRoom): RoomView {
  const condition = findCondition(room.status?.conditions, 'Ready');
  return {
    name: room.metadata.name,
    roomId: roomIdOf(room),
    ready: isRoomReady(room),
    reason: condition?.reason ?? 'Pending',
    message: condition?.message ?? 'the room was not placed yet',
    maxPeers: room.spec.maxPeers,
    placements: room.status?.placements ?? [],
  };
}

const removal = { code: closeCodes.forGood, reason: 'removed by an administrator' };

/** Closes a peer wherever its socket is; where its replica does not answer, its leave is done from here. */
async function removePeer(services: Services, row: PeerRow): Promise<void> {
  const { registry, leaver, others, logger } = services;
  const local = registry.get(row.id);
  if (local) {
    local.close(removal.code, removal.reason);
    await local.ended;
    return;
  }
  const hasSocket = row.kind === 'WebSocket' && row.detachedAt === null;
  if (hasSocket && row.replicaId !== services.membership.id)
    try {
      await others.closePeer(row.replicaUrl, row.id, removal);
      return;
    } catch (error) {
      logger.warn({ reason: messageOf(error) }, 'the replica of a removed peer does not answer');
    }
  await leaver.leaveRow(row);
}

/** The administrators' routes. */
export function roomsHandlers(services: Services): Handlers<typeof roomsSpec> {
  const { config, kube, placements, peers, nodes } = services;
  const picture = createConsole(services);

  const authorize = (token: string | undefined, roomId?: string): Promise<void> =>
    authorizeAdmin(config.roomAuth, token, roomId);

  /** The room of a call whose token may administer it. */
  async function roomOf(token: string | undefined, name: string): Promise<MediaRoom> {
    const room = placements.room(name);
    await authorize(token, room ? roomIdOf(room) : name);
    if (!room) throw new ApiError('room_not_found', `there is no room ${name}`);
    return room;
  }

  async function peerOf(
    token: string | undefined,
    params: Record<string, string>,
  ): Promise<PeerRow> {
    const { name = '', peerId = '' } = params;
    await roomOf(token, name);
    const row = await peers.find(name, peerId);
    if (!row) throw new ApiError('peer_not_found', `there is no peer ${peerId} in room ${name}`);
    return row;
  }

  return {
    createRoom: async ({ token, body: { roomId, spec } }) => {
      await authorize(token, roomId);
      const annotations = { [roomIdAnnotation]: roomId };
      return roomView(await placements.create({ name: roomNameOf(roomId), spec, annotations }));
    },
    listRooms: async ({ token }) => {
      await authorize(token);
      return { rooms: placements.rooms().map(roomView) };
    },
    getRoom: async ({ token, params: { name = '' } }) => roomView(await roomOf(token, name)),
    deleteRoom: async ({ token, params: { name = '' } }) => {
      await roomOf(token, name);
      await kube.deleteRoom(name);
      return {};
    },
    listPeers: async ({ token, params: { name = '' } }) => {
      await roomOf(token, name);
      const rows = await peers.listByRoom(name);
      return {
        peers: rows.map((row) => ({ ...row, joinedAt: row.joinedAt?.toISOString() ?? null })),
      };
    },
    removePeer: async ({ token, params }) => {
      await removePeer(services, await peerOf(token, params));
      return {};
    },
    mutePeer: async ({ token, params, body }) => {
      const row = await peerOf(token, params);
      const placement = placements.router(row.roomId, row.producerRouterId ?? '');
      if (!placement) throw new ApiError('router_not_found', 'the router of the peer is gone');
      const to = { roomId: row.roomId, peerId: row.peerId, mediaPeerId: row.id };
      return nodes.forward(placement.url, to, 'mutePeer', body);
    },
    console: async ({ token }) => {
      await authorize(token);
      return picture();
    },
  };
}
