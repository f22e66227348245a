import type { Knex } from 'knex';
import { raw, type AnyQueryBuilder } from 'objection';

import type { NodeAddress } from '../../wire/media-node.ts';
import type { Direction, Grants } from '../../wire/peer.ts';
import type { MediaKind, RtpCapabilities } from '../../wire/rtp.ts';
import { query } from '../knex.ts';
import {
  MediaDataProducerModel,
  MediaPipeTransportModel,
  MediaProducerModel,
  MediaTransportModel,
  type MediaPeerModel,
  type PeerKind,
} from '../models.ts';
import { createConsumerRows } from './media-consumers.ts';
import { createMediaPeers } from './media-peers.ts';
import { createMediaRouters, createMediaWorkers, nodeOf, type RouterRow } from './media-routers.ts';
import { createMediaSweep } from './media-sweep.ts';

export type { PeerBinding, PeerTransport, RoomPeer } from './media-peers.ts';
export type { LiveTable, MissingConsumer, PeerSides } from './media-sweep.ts';

/** A peer's transport that receives, with all that the consume flow needs to know. */
export interface Receiver {
  transportId: string;
  mediaPeerId: string;
  peerId: string;
  peerKind: PeerKind;
  roomId: string;
  grants: Grants;
  rtpCapabilities: RtpCapabilities | null;
  replicaUrl: string;
  router: RouterRow;
}

export interface RoomProducer {
  producerId: string;
  mediaPeerId: string;
  peerId: string;
  kind: MediaKind;
  appData: Record<string, unknown>;
  owner: NodeAddress;
}

/** A data producer of the room; it has no kind. */
export type RoomDataProducer = Omit<RoomProducer, 'kind'>;

/**
 * The columns that a room-wide query needs of a relation. Peers and routers have their RTP capabilities with them: read
 * again for each producer of a large room, they would cost more than all else of a join's statements.
 */
const only =
  (...columns: string[]) =>
  (relation: AnyQueryBuilder): void =>
    void relation.select(columns);

const noGrants: Grants = { publish: false, subscribe: false, data: false, admin: false };
const watcherOf = (peer: MediaPeerModel | undefined) => ({
  peerKind: peer?.kind ?? 'WebSocket',
  roomId: peer?.roomId ?? '',
  grants: peer?.grants ?? noGrants,
  rtpCapabilities: peer?.rtpCapabilities ?? null,
  replicaUrl: peer?.replica?.url ?? '',
});

const receiverOf = (row: MediaTransportModel): Receiver => ({
  transportId: row.id,
  mediaPeerId: row.mediaPeerId,
  peerId: row.peer?.peerId ?? '',
  ...watcherOf(row.peer),
  router: { routerId: row.routerId, node: nodeOf(row.worker) },
});

/**
 * The media nodes' side of the session tables. Every function is one statement or, where it says so, one transaction of
 * a fixed number of them.
 *
 * @throws {ApiError} each: `store_unavailable` while Postgres is away
 */
export function createMediaRepository(knex: Knex) {
  return {
    ...createConsumerRows(knex),
    ...createMediaSweep(knex),
    ...createMediaWorkers(knex),
    ...createMediaRouters(knex),
    ...createMediaPeers(knex),
    ...objects(knex),
  };
}
export type MediaRepository = ReturnType<typeof createMediaRepository>;

const objects = (knex: Knex) => ({
  insertTransport: (row: {
    id: string;
    mediaPeerId: string;
    routerId: string;
    instanceId: string;
    kind: 'webrtc' | 'plain';
    direction: Direction;
  }) => query(() => MediaTransportModel.query(knex).insert(row)),
  /** Makes it the newest of its peer. */
  renewTransport: (id: string) =>
    query(() =>
      MediaTransportModel.query(knex)
        .patch({ createdAt: raw('clock_timestamp()') })
        .where({ id }),
    ),
  insertProducer: (row: {
    id: string;
    transportId: string;
    mediaPeerId: string;
    routerId: string;
    kind: MediaKind;
    appData: Record<string, unknown>;
    replaces: string | null;
  }) => query(() => MediaProducerModel.query(knex).insert(row)),
  insertDataProducer: (row: {
    id: string;
    transportId: string;
    mediaPeerId: string;
    routerId: string;
    label: string;
    protocol: string;
    appData: Record<string, unknown>;
    replaces: string | null;
  }) => query(() => MediaDataProducerModel.query(knex).insert(row)),
  /** Records one end of a pipe, in place of an earlier one between the same routers. */
  savePipeTransport: (row: {
    id: string;
    routerId: string;
    instanceId: string;
    remoteRouterId: string;
    pipeEnd: 'source' | 'destination';
  }) =>
    query(() =>
      MediaPipeTransportModel.query(knex)
        .insert(row)
        .onConflict(['router_id', 'remote_router_id', 'pipe_end'])
        .merge(['id', 'instance_id']),
    ),
  /** The receiving transport with its node, its router and its peer. */
  findReceiver: (transportId: string): Promise<Receiver | undefined> =>
    query(async () => {
      const row = await MediaTransportModel.query(knex)
        .withGraphJoined('[worker, router.room, peer.replica]')
        .findOne({ 'media_transport.id': transportId, direction: 'consumer' });
      return row && receiverOf(row);
    }),
  /** The newest receiving transport of every joined browser peer of the room but one. */
  receiversOfRoom: (roomId: string, exceptMediaPeerId: string): Promise<Receiver[]> =>
    query(async () => {
      const rows = await MediaTransportModel.query(knex)
        .withGraphJoined('[worker, peer.replica]')
        .where({ 'peer.room_id': roomId, 'peer.kind': 'WebSocket', direction: 'consumer' })
        .whereNotNull('peer.joined_at')
        .whereNot('peer.id', exceptMediaPeerId)
        .orderBy('media_transport.created_at');
      return [...new Map(rows.map((row) => [row.mediaPeerId, receiverOf(row)])).values()];
    }),
  /** What one peer publishes, with the node that has each: more than one while it moves. */
  producersOfPeer: (mediaPeerId: string): Promise<RoomProducer[]> =>
    query(async () => {
      const rows = await producersWithOwners(knex)
        .where('media_producer.media_peer_id', mediaPeerId)
        .orderBy('media_producer.created_at');
      return rows.map((row) => ({ ...producerOf(row), kind: row.kind }));
    }),
  /** Whose producers and data producers these are, by id. */
  peersOfProducers: (ids: string[]): Promise<Map<string, string>> =>
    query(async () => {
      const [media, data] = await Promise.all([
        MediaProducerModel.query(knex).select('id', 'media_peer_id').whereIn('id', ids),
        MediaDataProducerModel.query(knex).select('id', 'media_peer_id').whereIn('id', ids),
      ]);
      return new Map([...media, ...data].map((row) => [row.id, row.mediaPeerId]));
    }),
  /** What the other joined peers of the room publish, with the node that has each. */
  producersOfRoom: (roomId: string, exceptMediaPeerId: string): Promise<RoomProducer[]> =>
    query(async () => {
      const rows = await producersWithOwners(knex)
        .where('peer.room_id', roomId)
        .whereNot('peer.id', exceptMediaPeerId)
        .orderBy('media_producer.created_at');
      return rows.map((row) => ({ ...producerOf(row), kind: row.kind }));
    }),
  dataProducersOfRoom: (roomId: string, exceptMediaPeerId: string): Promise<RoomDataProducer[]> =>
    query(async () => {
      const rows = await MediaDataProducerModel.query(knex)
        .withGraphJoined('[peer, router.worker]')
        .modifyGraph('peer', only('id', 'peer_id', 'room_id'))
        .modifyGraph('router', only('id'))
        .modifyGraph('router.worker', only('instance_id', 'api_url'))
        .where('peer.room_id', roomId)
        .whereNot('peer.id', exceptMediaPeerId)
        .orderBy('media_data_producer.created_at');
      return rows.map(producerOf);
    }),
});

const producersWithOwners = (knex: Knex) =>
  MediaProducerModel.query(knex)
    .withGraphJoined('[peer, router.worker]')
    .modifyGraph('peer', only('id', 'peer_id', 'room_id'))
    .modifyGraph('router', only('id'))
    .modifyGraph('router.worker', only('instance_id', 'api_url'));

const producerOf = (row: MediaProducerModel | MediaDataProducerModel): RoomDataProducer => ({
  producerId: row.id,
  mediaPeerId: row.mediaPeerId,
  peerId: row.peer?.peerId ?? '',
  appData: row.appData,
  owner: nodeOf(row.router?.worker),
});
