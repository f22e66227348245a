import type { Knex } from 'knex';
import { raw } from 'objection';

import type { NodeAddress } from '../../wire/media-node.ts';
import type { Device, Direction, Grants } from '../../wire/peer.ts';
import type { RtpCapabilities } from '../../wire/rtp.ts';
import { query } from '../knex.ts';
import { MediaPeerModel, MediaTransportModel, type PeerKind } from '../models.ts';
import { nodeOf, routerOf, type RouterRow } from './media-routers.ts';

/** A peer's connection as its producer service needs it: who it is, what it may do, where its two sides live. */
export interface PeerBinding {
  mediaPeerId: string;
  peerId: string;
  roomId: string;
  kind: PeerKind;
  grants: Grants;
  displayName: string;
  rtpCapabilities: RtpCapabilities | null;
  joined: boolean;
  remoteAddress: string;
  replicaUrl: string;
  /** Absent: the router is gone, and the side is not bound anew yet. So is the other. */
  producerRouter?: RouterRow;
  consumerRouter?: RouterRow;
}

/** A joined peer, as the others see it. */
export interface RoomPeer {
  mediaPeerId: string;
  peerId: string;
  displayName: string;
  device: Device;
  remoteAddress: string;
  replicaUrl: string;
}

interface JoinDetails {
  displayName: string;
  device: Device;
  rtpCapabilities?: RtpCapabilities | undefined;
}

/** One of a peer's transports, with the node that has it. */
export interface PeerTransport {
  transportId: string;
  direction: Direction;
  node: NodeAddress;
}

function bindingOf(row: MediaPeerModel): PeerBinding {
  const producerRouter = routerOf(row.producerRouter);
  const consumerRouter = routerOf(row.consumerRouter);
  return {
    mediaPeerId: row.id,
    peerId: row.peerId,
    roomId: row.roomId,
    kind: row.kind,
    grants: row.grants,
    displayName: row.displayName,
    rtpCapabilities: row.rtpCapabilities,
    joined: row.joinedAt !== null,
    remoteAddress: row.remoteAddress,
    replicaUrl: row.replica?.url ?? '',
    ...(producerRouter ? { producerRouter } : {}),
    ...(consumerRouter ? { consumerRouter } : {}),
  };
}

const others = async (
  db: Knex,
  { roomId, mediaPeerId }: { roomId: string; mediaPeerId: string },
): Promise<RoomPeer[]> => {
  const rows = await MediaPeerModel.query(db)
    .select(
      'media_peer.id',
      'media_peer.peer_id',
      'media_peer.display_name',
      'media_peer.device',
      'media_peer.remote_address',
    )
    .withGraphJoined('replica')
    .where('media_peer.room_id', roomId)
    .whereNotNull('media_peer.joined_at')
    .whereNot('media_peer.id', mediaPeerId)
    .orderBy('media_peer.joined_at');
  return rows.map((row) => ({
    mediaPeerId: row.id,
    peerId: row.peerId,
    displayName: row.displayName,
    device: row.device,
    remoteAddress: row.remoteAddress,
    replicaUrl: row.replica?.url ?? '',
  }));
};

const consumerNodesSql = `
  SELECT c.id, w.instance_id AS "instanceId", w.api_url AS url
    FROM (
      SELECT id, transport_id FROM media_consumer WHERE id = ANY(?::uuid[])
      UNION ALL
      SELECT id, transport_id FROM media_data_consumer WHERE id = ANY(?::uuid[])
    ) c
    JOIN media_transport t ON t.id = c.transport_id
    JOIN media_worker w ON w.instance_id = t.instance_id`;

/** Peers as media nodes see them. */
export const createMediaPeers = (knex: Knex) => ({
  findPeer: (mediaPeerId: string): Promise<PeerBinding | undefined> =>
    query(async () => {
      const row = await MediaPeerModel.query(knex)
        .withGraphJoined('[replica, producerRouter.worker, consumerRouter.worker]')
        .findOne('media_peer.id', mediaPeerId);
      return row && bindingOf(row);
    }),
  /**
   * Marks a peer joined and reads the others. The joins of a room are put in an order by a lock on its row: of two peers
   * the later one has the earlier one in its answer, and the earlier one is told of the later one, never both or neither.
   * One transaction.
   *
   * @returns undefined when the peer's row is gone
   */
  joinPeer: (
    peer: { mediaPeerId: string; roomId: string },
    details: JoinDetails,
  ): Promise<RoomPeer[] | undefined> =>
    query(() =>
      knex.transaction(async (trx) => {
        await trx.raw('SELECT id FROM media_room WHERE id = ? FOR NO KEY UPDATE', [peer.roomId]);
        const marked = await MediaPeerModel.query(trx)
          .patch({
            displayName: details.displayName,
            device: details.device,
            rtpCapabilities: details.rtpCapabilities ?? null,
            joinedAt: raw('coalesce(joined_at, clock_timestamp())'),
          })
          .where('id', peer.mediaPeerId);
        return marked === 0 ? undefined : others(trx, peer);
      }),
    ),
  /** The other joined peers of the room, in the order of their joins. */
  othersOfRoom: (peer: { mediaPeerId: string; roomId: string }): Promise<RoomPeer[]> =>
    query(() => others(knex, peer)),
  renamePeer: (mediaPeerId: string, displayName: string) =>
    query(() => MediaPeerModel.query(knex).patch({ displayName }).where('id', mediaPeerId)),
  /** Base URLs of the signaling replicas that hold the room's peers. */
  replicasOfRoom: (roomId: string): Promise<string[]> =>
    query(async () => {
      const rows = await knex('media_peer')
        .join('signaling_replica', 'signaling_replica.id', 'media_peer.replica_id')
        .where('media_peer.room_id', roomId)
        .distinct<{ url: string }[]>('signaling_replica.url');
      return rows.map(({ url }) => url);
    }),
  /** All transports of a peer on all nodes, the oldest first. */
  transportsOfPeer: (mediaPeerId: string): Promise<PeerTransport[]> =>
    query(async () => {
      const rows = await MediaTransportModel.query(knex)
        .withGraphJoined('worker')
        .where('media_peer_id', mediaPeerId)
        .orderBy('media_transport.created_at');
      return rows.map(({ id, direction, worker }) => ({
        transportId: id,
        direction,
        node: nodeOf(worker),
      }));
    }),
  /** The nodes that have these consumers and data consumers, by the consumer's id. */
  nodesOfConsumers: (consumerIds: string[]): Promise<Map<string, NodeAddress>> =>
    query(async () => {
      const { rows } = await knex.raw<{ rows: ({ id: string } & NodeAddress)[] }>(
        consumerNodesSql,
        [consumerIds, consumerIds],
      );
      return new Map(rows.map(({ id, instanceId, url }) => [id, { instanceId, url }]));
    }),
});
